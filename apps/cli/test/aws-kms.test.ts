import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAwsKmsProvider } from "@lango/crypto-aws-kms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startServer } from "../../../tooling/services/server.ts";
import { withService } from "../../../tooling/vitest/require-service.ts";
import { configure, type Door, good, homeWith, line, openDoor, WEAK } from "./provider-support.ts";
import {
  expectOneFault,
  fileWith,
  folder,
  lango,
  langoJson,
  SECRET,
  vaultHome,
} from "./support.ts";

// The whole way, from config.json to a service that nobody here wrote.
const REGION = "us-east-1";
const CREDENTIALS = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };

withService("moto", (program) => {
  let server: Server;
  let door: Door;
  let key: string;

  beforeAll(async () => {
    server = await startServer({
      program,
      args: (port) => ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
    });
    door = await openDoor(server.port);
    const provider = createAwsKmsProvider({
      ...{ region: REGION, endpoint: server.url },
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
    });
    const made = { algorithm: "aes-256-gcm", usage: "encryption", keyId: "lango" } as const;
    key = (await provider.createKey(made)).keyId;
    await provider.close();
  }, 60_000);
  afterAll(() => server?.stop());

  /** Seed 000's own block, and where the service is. */
  const security = (kms: object = {}) => ({
    signer: { provider: "aws-kms" },
    kms: {
      region: REGION,
      keyId: key,
      fallbackToLocal: true,
      timeoutPerOperation: "5s",
      maxRetries: 3,
      endpoint: door.url,
      ...kms,
    },
  });

  const uri = (): string => `aws-kms:${key}`;

  describe("onboard with signer.provider aws-kms", () => {
    test("makes the provider's key the default key, and says so", async () => {
      const home = homeWith(security());
      const options = { home, env: CREDENTIALS };
      expect(await good(["onboard", ...WEAK], options)).toBe(
        `Created a vault in ${home}, its default key is ${uri()}\n`,
      );
      await good(["security", "secrets", "set", "a"], { ...options, input: SECRET });
      expect(await good(["security", "secrets", "get", "a", "--reveal"], options)).toBe(SECRET);
      const { document } = await langoJson(["security", "status"], options);
      expect(document.data).toMatchObject({
        mode: "aws-kms",
        provider: { name: "aws-kms", installed: true, inForce: true, key: uri() },
        dataKeys: [{ uri: uri(), count: 1, degraded: 0 }],
        degradedDataKeys: 0,
        // A passphrase still opens the vault key.
        rootedIn: null,
      });
      expect(document.data.provider.lastProbe).toMatchObject({ healthy: true, circuit: "closed" });
      const { code } = await lango(["doctor", "--probe"], options);
      // The derivation of this test is weak, and that is a finding.
      expect(code).toBe(10);
      expect(await good(["audit", "verify", "--rows"], options)).toMatch(/rows, head/);
    });

    test.each([
      ["a key that is not there", () => ({ keyId: "alias/none" }), 3, /alias\/none/],
      ["no key at all", () => ({ keyId: "" }), 78, /security\.kms\.keyId is not set/],
      ["a region that is none", () => ({ region: "the moon" }), 78, /security\.kms\.region/],
      ["a service that is not there", () => ({ endpoint: "http://127.0.0.1:1" }), 7, /AWS KMS/],
    ] as const)("with %s makes nothing", async (_, kms, code, message) => {
      const home = homeWith(security(kms()));
      const ran = await lango(["onboard", ...WEAK], { home, env: CREDENTIALS });
      expectOneFault(ran, code, message);
      expect(readdirSync(home)).toEqual(["config.json"]);
    });

    test("without credentials makes nothing", async () => {
      const home = homeWith(security());
      const env = { AWS_EC2_METADATA_DISABLED: "true" };
      const ran = await lango(["onboard", ...WEAK], { home, env });
      expect([5, 7, 78]).toContain(ran.code);
      expect(readdirSync(home)).toEqual(["config.json"]);
    });
  });

  test("a local vault moves under a key, is cut off from it, and comes back", async () => {
    const home = await vaultHome();
    const options = { home, env: CREDENTIALS };
    const migrate = ["security", "provider", "migrate", "--to", "aws-kms:alias/lango"];
    configure(home, security({ keyId: "alias/lango" }));
    expect(await good(["security", "status"], options)).toMatch(
      /^provider +aws-kms .*, not in use for secrets: every data key is local$/m,
    );
    expect(await good([...migrate, "--dry-run"], options)).toMatch(
      /^would put the data keys of default/,
    );
    expectOneFault(await lango([...migrate, "--no-input"], options), 2, /needs a yes/);
    const { document: migrated } = await langoJson([...migrate, "--yes"], options);
    // The alias stands for a key: that is what the vault keeps.
    expect(migrated.data).toMatchObject({
      from: "local:default",
      dataKeys: 1,
      key: { uri: uri() },
    });
    expect(await good(["security", "secrets", "get", "api/key", "--reveal"], options)).toBe(SECRET);

    await door.close();
    try {
      const get = await lango(["security", "secrets", "get", "api/key", "--reveal"], options);
      // Reading never falls back: the value is in nobody's reach but the provider's.
      expectOneFault(get, 7, /AWS KMS/);
      const set = await lango(["security", "secrets", "set", "b"], { ...options, input: "other" });
      expect(set).toMatchObject({ code: 0, stdout: "stored b, version 1\n" });
      expect(set.stderr).toMatch(
        /^warning: The provider of the key could not be reached: b was sealed under the vault key/m,
      );
      const status = await good(["security", "status"], options);
      expect(line(status, "degraded")).toBe(
        "1 data key awaits re-wrap: lango security provider rewrap",
      );
      expect(line(status, "last probe")).toMatch(/, not healthy: AWS KMS/);
      expectOneFault(await lango(["security", "provider", "rewrap"], options), 7, /AWS KMS/);
      // Who asks a doctor to ask is told that, and not to wrap again what cannot be now.
      const providerOf = async (...args: string[]) => {
        const { document } = await langoJson(["doctor", ...args], options);
        return document.data.checks.find(({ check }: { check: string }) => check === "provider");
      };
      expect((await providerOf("--probe")).detail).toMatch(/^aws-kms is not healthy: AWS KMS/);
      expect((await providerOf()).detail).toMatch(/^1 data key was sealed while aws-kms/);
      // With the fallback off a write fails as a read does.
      configure(home, security({ fallbackToLocal: false }));
      const refused = await lango(["security", "secrets", "set", "c"], { ...options, input: "x" });
      expectOneFault(refused, 7, /AWS KMS/);
      configure(home, security({ keyId: "alias/lango" }));
    } finally {
      await door.open();
    }

    expect(await good(["security", "provider", "rewrap", "--dry-run"], options)).toMatch(
      /1 data key/,
    );
    expect(await good(["security", "provider", "rewrap"], options)).toBe(
      "wrapped 1 data key again\n",
    );
    const status = await good(["security", "status"], options);
    expect(line(status, "degraded")).toBe("no");
    expect(line(status, "mode")).toBe("aws-kms");
    expect(await good(["security", "secrets", "get", "b", "--reveal"], options)).toBe("other");
    const { document } = await langoJson(["audit", "tail"], options);
    const actions = document.data.events.map((event: { action: string }) => event.action);
    for (const action of [
      "provider.configure",
      "provider.migrate",
      "provider.fallback",
      "provider.rewrap",
    ]) {
      expect(actions).toContain(action);
    }
    expect(await good(["audit", "verify", "--rows"], options)).toMatch(/rows, head/);

    // And back: nothing needs the service any more.
    await good(["security", "provider", "migrate", "--to", "local:default", "--yes"], options);
    configure(home, { signer: { provider: "local" } });
    expect(await good(["security", "secrets", "get", "api/key", "--reveal"], options)).toBe(SECRET);
    expect(line(await good(["security", "status"], options), "mode")).toBe("local");
  }, 60_000);

  describe("crypto and keys", () => {
    test("encrypt and decrypt with a key that is registered, or was named", async () => {
      const home = await vaultHome();
      configure(home, security({ keyId: "alias/lango" }));
      const options = { home, env: CREDENTIALS };
      const sealed = (
        await lango(["crypto", "encrypt", "--key", "aws-kms:alias/lango"], {
          ...options,
          input: "text",
        })
      ).bytes;
      // The key in a header is only looked up: this vault does not know it.
      expectOneFault(
        await lango(["crypto", "decrypt"], { ...options, input: sealed }),
        3,
        /None of the recipients/,
      );
      const named = await lango(["crypto", "decrypt", "--key", "aws-kms:alias/lango"], {
        ...options,
        input: sealed,
      });
      expect(named.stdout).toBe("text");
      expect(
        await good(
          ["keys", "create", "cloud", "--type", "encryption", "--provider", "aws-kms:alias/lango"],
          options,
        ),
      ).toBe(`registered ${uri()} as cloud (aes-256-gcm)\n`);
      expect((await lango(["crypto", "decrypt"], { ...options, input: sealed })).stdout).toBe(
        "text",
      );
      const byName = await lango(["crypto", "encrypt", "--key", "cloud", "--key", "default"], {
        ...options,
        input: "text",
      });
      expect(byName.code, byName.stderr).toBe(0);
      await door.close();
      try {
        // The other recipient is local.
        expect(
          (await lango(["crypto", "decrypt"], { ...options, input: byName.bytes })).stdout,
        ).toBe("text");
        expectOneFault(
          await lango(["crypto", "decrypt"], { ...options, input: sealed }),
          7,
          /AWS KMS/,
        );
        // Encrypting for a key never falls back to another one.
        expectOneFault(
          await lango(["crypto", "encrypt", "--key", "cloud"], { ...options, input: "x" }),
          7,
          /AWS KMS/,
        );
      } finally {
        await door.open();
      }
      const { document } = await langoJson(["audit", "tail"], options);
      expect(document.data.events).toContainEqual(
        expect.objectContaining({ action: "key.wrapKey", target: uri(), outcome: "success" }),
      );
      expect(document.data.events).toContainEqual(
        expect.objectContaining({
          action: "key.unwrapKey",
          target: uri(),
          outcome: "failure",
          code: "ERR_UNAVAILABLE",
        }),
      );
    }, 60_000);

    test("what a key sealed while it was local is opened after it has moved", async () => {
      const home = await vaultHome();
      const options = { home, env: CREDENTIALS };
      const sealed = (await lango(["crypto", "encrypt"], { home, input: "text" })).bytes;
      configure(home, security());
      await good(["security", "provider", "migrate", "--to", uri(), "--yes"], options);
      for (const args of [[], ["--key", "local:default"]]) {
        const opened = await lango(["crypto", "decrypt", ...args], { ...options, input: sealed });
        expect(opened.stdout, opened.stderr).toBe("text");
      }
      // The default key is the one of the registry, wherever it is.
      const { document } = await langoJson(["crypto", "encrypt", "--base64"], {
        ...options,
        input: "x",
      });
      expect(document.data.keys).toEqual([uri()]);
    });

    test("a key is made at the service, signs and verifies", async () => {
      const home = await vaultHome();
      configure(home, security());
      const options = { home, env: CREDENTIALS };
      const create = [
        "keys",
        "create",
        "release",
        "--type",
        "signing",
        "--provider",
        "aws-kms:release",
      ];
      expectOneFault(await lango([...create, "--algorithm", "ecdsa-p256"], options), 2, /made now/);
      expectOneFault(
        await lango(["keys", "create", "x", "--type", "signing", "--create"], options),
        2,
        /--provider/,
      );
      expect(await good([...create, "--create", "--dry-run"], options)).toMatch(/^would register/);
      expect(await good([...create, "--create"], options)).toMatch(
        /^registered aws-kms:arn:.* as release \(ecdsa-p256\)\n$/,
      );
      expectOneFault(await lango([...create, "--create"], options), 9, /release already/);
      expect(await good(["keys", "public-key", "release"], options)).toMatch(
        /^-----BEGIN PUBLIC KEY/,
      );
      // Moto hashes the digest once more, so only it can verify what it signed: see the provider's README.
      const signed = await lango(["crypto", "sign", "--key", "release"], {
        ...options,
        input: "message",
      });
      const signature = fileWith(signed.bytes);
      const check = ["crypto", "verify", "--key", "release", "--signature", signature];
      expect((await lango(check, { ...options, input: "message" })).stdout).toMatch(
        /^valid signature/,
      );
      expectOneFault(await lango(check, { ...options, input: "another" }), 8, /is not one by/);
      expectOneFault(
        await lango(
          ["keys", "create", "b", "--type", "encryption", "--provider", "gcp-kms:x"],
          options,
        ),
        3,
        /No provider gcp-kms/,
      );
    });
  });

  describe("status --probe", () => {
    test("asks once in 30 seconds, in a file that only the owner reads", async () => {
      const home = await vaultHome();
      configure(home, security());
      const options = { home, env: CREDENTIALS };
      expect(line(await good(["security", "status"], options), "last probe")).toMatch(/^none/);
      const probe = async () =>
        (await langoJson(["security", "status", "--probe"], options)).document.data.provider
          .lastProbe;
      const first = await probe();
      expect(first).toMatchObject({ healthy: true, circuit: "closed" });
      expect(await probe()).toEqual(first);
      const file = join(home, "run", "provider-health.json");
      expect(statSync(file).mode & 0o777).toBe(0o600);
      // A report of another address says nothing about this one.
      configure(home, security({ endpoint: "http://127.0.0.1:1" }));
      expect(await probe()).toMatchObject({
        healthy: false,
        reason: expect.stringContaining("AWS KMS"),
      });
      configure(home, security());
      for (const broken of ["", "{", "[]", '{"providers":[null,1,{"target":1}]}']) {
        writeFileSync(file, broken);
        expect(line(await good(["security", "status"], options), "last probe")).toMatch(/^none/);
      }
    });
  });

  test("provider check runs the checks on the keys that are named, and names what has none", async () => {
    const home = homeWith(security());
    const { document, code } = await langoJson(["security", "provider", "check", uri()], {
      home,
      env: CREDENTIALS,
    });
    const outcomes = new Map<string, string>(
      document.data.checks.map(({ name, outcome }: { name: string; outcome: string }) => [
        name,
        outcome,
      ]),
    );
    expect(code).toBe(0);
    expect([...outcomes.values()]).toContain("passed");
    expect([...outcomes.values()]).not.toContain("failed");
    const lacking = document.data.checks.filter(
      ({ outcome }: { outcome: string }) => outcome === "not-applicable",
    );
    expect(lacking[0].reason).toMatch(/^needs /);
    // It needs no vault, and makes none.
    expect(existsSync(join(home, "lango.db"))).toBe(false);
  });

  test("a program that gives credentials learns nothing that opens the vault", async () => {
    const home = await vaultHome();
    const where = folder();
    const seen = join(where, "seen");
    const script = join(where, "credentials.sh");
    const answer = '{"Version":1,"AccessKeyId":"test","SecretAccessKey":"test"}';
    writeFileSync(script, `#!/bin/sh\nenv > '${seen}'\necho '${answer}'\n`);
    chmodSync(script, 0o700);
    writeFileSync(join(where, "config"), `[default]\ncredential_process = "${script}"\n`);
    configure(home, security());
    const env = {
      AWS_CONFIG_FILE: join(where, "config"),
      AWS_SHARED_CREDENTIALS_FILE: join(where, "none"),
      LANGO_PKCS11_PIN: "123456",
    };
    await good(["security", "provider", "migrate", "--to", uri(), "--yes"], { home, env });
    const names = readFileSync(seen, "utf8");
    expect(names).toContain("AWS_CONFIG_FILE=");
    expect(names).not.toMatch(/LANGO_PASSPHRASE|LANGO_PKCS11_PIN/);
  });
});
