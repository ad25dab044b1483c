import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { loadProvider } from "@lango/crypto-core";
import { expect, test } from "vitest";
import { createAwsKmsProvider, provider } from "../src/index.ts";

const parse = (input: unknown) => () => provider.configSchema.parse(input);

test("the configuration takes these keys, each a text, none required", () => {
  expect(parse({})()).toEqual({});
  const all = {
    region: "us-gov-west-1",
    endpoint: "https://vpce-1.kms.us-gov-west-1.vpce.amazonaws.com",
    keyId: "alias/notes",
    encryptKeyId: "alias/a",
    signKeyId: "alias/b",
  };
  expect(parse(all)()).toEqual(all);
});

test.each([
  [{ reigon: "us-east-1" }, "reigon"],
  [{ region: "" }, "region"],
  [{ region: "us-east-1.evil.example/" }, "region"],
  [{ keyId: 7 }, "keyId"],
  [{ endpoint: "kms.example" }, "endpoint"],
  [{ endpoint: "http://kms.example" }, "endpoint"],
  [{ endpoint: "https://user:password@kms.example" }, "endpoint"],
  [[], "object"],
  [null, "object"],
])("%j is ERR_CONFIG and names %s", (input, named) => {
  expect(parse(input)).toThrow(
    expect.objectContaining({ code: "ERR_CONFIG", message: expect.stringContaining(named) }),
  );
  expect(parse(input)).not.toThrow("password");
});

test("http is for this machine", () => {
  for (const endpoint of ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566"]) {
    expect(parse({ endpoint })()).toEqual({ endpoint });
  }
});

test("loadProvider finds it, and what it makes names the configured keys to health", async () => {
  const module = await loadProvider("aws-kms", { import: () => import("../src/index.ts") });
  const made = await module.create(
    { region: "eu-central-1", keyId: "arn:aws:kms:us-east-1:1:x" },
    {},
  );
  expect(made.name).toBe("aws-kms");
  // No call is made: the key is not in the region of the client.
  expect(await made.health({})).toMatchObject({ healthy: false });
  await made.close();
});

test("without a region anywhere the error says what to set", async () => {
  const saved = { ...process.env };
  for (const name of ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"]) delete process.env[name];
  process.env["AWS_CONFIG_FILE"] = "/nowhere";
  process.env["AWS_SHARED_CREDENTIALS_FILE"] = "/nowhere";
  try {
    const call = createAwsKmsProvider().random({ bytes: 1 });
    await expect(call).rejects.toMatchObject({
      code: "ERR_CONFIG",
      context: { hint: expect.stringContaining("AWS_REGION") },
    });
  } finally {
    process.env = saved;
  }
});

test("an import of the package, and a provider that is not used, load no SDK", async () => {
  const source = new URL("../src/index.ts", import.meta.url).href;
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const { createAwsKmsProvider } = await import(${JSON.stringify(source)});
    const provider = createAwsKmsProvider({ region: "us-east-1" });
    const count = () => loaded.filter((url) => /aws-sdk|smithy/.test(url)).length;
    const before = count();
    await provider.random({ bytes: 1, signal: AbortSignal.abort() }).catch(() => {});
    await provider.random({ bytes: 1, signal: AbortSignal.timeout(1000) }).catch(() => {});
    console.log(JSON.stringify([before, count() > 0]));
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=@lango/source", "--input-type=module", "--eval", script],
    { env: { ...process.env, AWS_EC2_METADATA_DISABLED: "true" } },
  );
  expect(JSON.parse(stdout)).toEqual([0, true]);
});
