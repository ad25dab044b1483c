import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import {
  alsoConfigured,
  configuredKey,
  type KeySettings,
  settingsFor,
  targetOf,
} from "../src/cli/provider-settings.ts";
import { DEFAULTS } from "../src/config/defaults.ts";
import { configure, good, homeWith, line, WEAK } from "./provider-support.ts";
import {
  expectOneFault,
  fileWith,
  lango,
  langoJson,
  SECRET,
  SOURCES,
  sharedVaultHome,
  vaultHome,
} from "./support.ts";

const settings = (provider: string, kms: Partial<KeySettings["kms"]>): KeySettings => ({
  signer: { ...DEFAULTS.security.signer, provider },
  kms: { ...DEFAULTS.security.kms, ...kms },
});

const AZURE = { vaultUrl: "https://v.vault.azure.net", algorithm: "RSA-OAEP-256" } as const;
const TOKEN = { modulePath: "/m.so", slotId: 0, keyLabel: "k" };

describe("what a provider is configured with", () => {
  test("is what is set, and its own", () => {
    const all = {
      region: "eu-west-1",
      keyId: "a",
      signKeyId: "s",
      endpoint: "https://e",
      azure: AZURE,
      pkcs11: TOKEN,
    };
    const keys = { keyId: "a", signKeyId: "s" };
    expect(settingsFor("aws-kms", settings("aws-kms", all))).toEqual({
      ...{ region: "eu-west-1", endpoint: "https://e" },
      ...keys,
    });
    expect(settingsFor("gcp-kms", settings("gcp-kms", all))).toEqual({
      endpoint: "https://e",
      ...keys,
    });
    expect(settingsFor("azure-kv", settings("azure-kv", all))).toEqual({ ...AZURE, ...keys });
    expect(settingsFor("pkcs11", settings("pkcs11", all))).toEqual({ ...TOKEN, ...keys });
  });

  test("is without the keys and the endpoint of another", () => {
    const kms = { region: "eu-west-1", keyId: "a", endpoint: "https://e", azure: AZURE };
    expect(settingsFor("azure-kv", settings("aws-kms", kms))).toEqual(AZURE);
    expect(settingsFor("aws-kms", settings("gcp-kms", kms))).toEqual({ region: "eu-west-1" });
    // Back at local the vault may still have keys there.
    expect(settingsFor("aws-kms", settings("local", kms))).toEqual({
      region: "eu-west-1",
      endpoint: "https://e",
    });
  });

  test("names those that a vault may have keys of beside the configured one", () => {
    expect(alsoConfigured(settings("local", {}))).toEqual([]);
    expect(alsoConfigured(settings("aws-kms", { region: "eu-west-1" }))).toEqual([]);
    expect(
      alsoConfigured(settings("gcp-kms", { region: "eu-west-1", azure: AZURE, pkcs11: TOKEN })),
    ).toEqual(["aws-kms", "azure-kv", "pkcs11"]);
    const local = settings("local", {});
    const rpcUrl = "https://companion.local:8443";
    expect(alsoConfigured({ ...local, signer: { ...local.signer, rpcUrl } })).toEqual(["rpc"]);
  });

  test("has a key for each use", () => {
    const both = settings("aws-kms", { keyId: "a", encryptKeyId: "e", signKeyId: "s" });
    expect(configuredKey(both, "encryption", "/h")).toBe("aws-kms:e");
    expect(configuredKey(both, "signing", "/h")).toBe("aws-kms:s");
    expect(configuredKey(settings("aws-kms", { keyId: "a" }), "signing", "/h")).toBe("aws-kms:a");
    expect(configuredKey(settings("pkcs11", { pkcs11: TOKEN }), "encryption", "/h")).toBe(
      "pkcs11:k",
    );
  });

  test("is told without its keys, so that a new key is no new place", () => {
    expect(targetOf("local", settings("local", {}))).toBe("local");
    expect(targetOf("pkcs11", settings("pkcs11", { keyId: "a", pkcs11: TOKEN }))).toBe(
      "pkcs11 modulePath=/m.so slotId=0",
    );
  });
});

describe("settings that are wrong", () => {
  test.each([
    [
      "azure-kv",
      { keyId: "k" },
      /security\.kms\.azure\.vaultUrl is not set, and azure-kv needs it/,
    ],
    [
      "azure-kv",
      { azure: { vaultUrl: "https://example.com" } },
      /config\.json: .*security\.kms\.azure\.vaultUrl is not a host of Azure/,
    ],
    ["gcp-kms", { keyId: "no-path" }, /config\.json: .*security\.kms\.keyId: must be projects/],
    ["aws-kms", { region: "the moon" }, /config\.json: .*security\.kms\.region: a region such as/],
    ["pkcs11", {}, /security\.kms\.pkcs11\.modulePath is not set, and pkcs11 needs it/],
  ])("of %s are 78 and named as in config.json: %j", async (provider, kms, message) => {
    const home = homeWith({ signer: { provider }, kms });
    expectOneFault(await lango(["security", "provider", "check", provider], { home }), 78, message);
  });

  test("keep nobody from what needs no key of that provider", async () => {
    const home = await vaultHome();
    configure(home, { signer: { provider: "pkcs11" }, kms: { keyId: "k" } });
    expect(await good(["security", "secrets", "get", "api/key", "--reveal"], { home })).toBe(
      SECRET,
    );
    expectOneFault(
      await lango(["security", "provider", "migrate", "--to", "pkcs11:k", "--yes"], { home }),
      78,
      /modulePath is not set/,
    );
  });
});

describe("what is loaded", () => {
  // Told by Node itself: each module that is resolved, at the end of the process.
  const spy = () => {
    const seen = fileWith("");
    const hook = fileWith(
      `import { registerHooks } from "node:module";
      import { appendFileSync } from "node:fs";
      registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(seen)}, url + "\\n"); return next(url, context); } });`,
      "hook.mjs",
    );
    const program = ["--import", pathToFileURL(hook).href, ...SOURCES];
    return {
      program,
      loaded: (what: RegExp) =>
        readFileSync(seen, "utf8")
          .split("\n")
          .filter((url) => what.test(url)),
    };
  };
  const PACKAGES = /crypto-(aws-kms|gcp-kms|azure-kv|pkcs11)\//;
  // "@smithy" alone is none: the checksum of Google's provider is a package of Amazon's.
  const SDKS = /@aws-sdk|@google-cloud|google-gax|@azure|pkcs11js/;

  test("nothing of any provider by a local vault", async () => {
    const home = await sharedVaultHome();
    for (const args of [
      ["--version"],
      ["security", "status"],
      ["security", "secrets", "list"],
      ["security", "secrets", "get", "api/key", "--reveal"],
    ]) {
      const { program, loaded } = spy();
      await good(args, { home, program });
      expect(loaded(/lango\.ts$/), args.join(" ")).toHaveLength(1);
      expect(loaded(PACKAGES)).toEqual([]);
      expect(loaded(SDKS)).toEqual([]);
    }
  });

  test("no SDK before the first call, and nothing by what needs no passphrase", async () => {
    for (const [provider, kms] of [
      ["aws-kms", { region: "eu-west-1", keyId: "k" }],
      ["gcp-kms", {}],
      ["azure-kv", { azure: AZURE }],
    ] as const) {
      const home = await vaultHome();
      configure(home, { signer: { provider }, kms });
      const status = spy();
      expect(await good(["security", "status"], { home, program: status.program })).toContain(
        provider,
      );
      expect(status.loaded(PACKAGES)).toEqual([]);
      // The schema takes longer than all the rest: a sound file needs none.
      expect(status.loaded(/zod|config\/(schema|validate)/)).toEqual([]);
      const get = spy();
      await good(["security", "secrets", "get", "api/key", "--reveal"], {
        home,
        program: get.program,
      });
      expect(get.loaded(PACKAGES)).not.toEqual([]);
      expect(get.loaded(SDKS)).toEqual([]);
    }
  });
});

test("a change of provider, module, region or address is in the log, once", async () => {
  const home = await vaultHome();
  const configured = async () => {
    await good(["security", "secrets", "history", "api/key"], { home });
    const { document } = await langoJson(["audit", "tail", "-n", "1000"], { home });
    return document.data.events
      .filter(({ action }: { action: string }) => action === "provider.configure")
      .map(({ detail }: { detail: string }) => detail);
  };
  expect(await configured()).toEqual([]);
  configure(home, { signer: { provider: "aws-kms" }, kms: { region: "eu-west-1", keyId: "a" } });
  const first = ["aws-kms region=eu-west-1"];
  expect(await configured()).toEqual(first);
  expect(await configured()).toEqual(first);
  // Another key is no other place.
  configure(home, { signer: { provider: "aws-kms" }, kms: { region: "eu-west-1", keyId: "b" } });
  expect(await configured()).toEqual(first);
  configure(home, { signer: { provider: "aws-kms" }, kms: { region: "us-east-1", keyId: "b" } });
  const second = [...first, "aws-kms region=us-east-1"];
  expect(await configured()).toEqual(second);
  // Whoever points at another row, or takes the file away, gets one row more, and hides nothing.
  const file = join(home, "run", "provider-configured.json");
  for (const forged of ['{"seq":1}', '{"seq":-1}', "{", '{"seq":999999}']) {
    writeFileSync(file, forged);
    expect((await configured()).at(-1)).toBe("aws-kms region=us-east-1");
  }
  configure(home, { signer: { provider: "local" } });
  expect((await configured()).at(-1)).toBe("local");
  expect(line(await good(["security", "status"], { home }), "mode")).toBe("local");
}, 60_000);

test("seed 000's configuration of a companion: what is missing is the pairing, and no other setting", async () => {
  const signer = { provider: "rpc", rpcUrl: "https://companion.local:8443", keyId: "primary" };
  const home = homeWith({ signer });
  const ran = await lango(["onboard", ...WEAK], { home });
  expectOneFault(ran, 78, /A companion is paired with a vault, and there is none yet/);
  expect(ran.stderr).toContain("lango security provider migrate --to rpc:primary");
});

test("--create-key wants a provider", async () => {
  const home = homeWith({ signer: { provider: "local" } });
  const ran = await lango(["onboard", "--create-key", ...WEAK], { home });
  expectOneFault(ran, 2, /security\.signer\.provider is local/);
});

test("doctor names both ways out when the settings and the keys are apart", async () => {
  const home = await vaultHome();
  configure(home, { signer: { provider: "aws-kms" }, kms: { keyId: "alias/lango" } });
  const { document } = await langoJson(["doctor"], { home });
  const found = document.data.checks.find(({ check }: { check: string }) => check === "provider");
  expect(found.fix).toBe(
    'Run "lango security provider migrate --to aws-kms:alias/lango", or set security.signer.provider to local',
  );
});
