import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULTS } from "../src/config/defaults.ts";
import { durationMs } from "../src/config/forms.ts";
import { loadConfig } from "../src/config/load.ts";
import { isShaped, withDefaults } from "../src/config/shape.ts";
import { failureOf, homeWith } from "./config-support.ts";

/** The "Configuration Reference" of seed 000, word for word. */
const SEED_000 = {
  security: {
    interceptor: { enabled: true, redactPii: true, approvalPolicy: "dangerous" },
    signer: { provider: "local", rpcUrl: "", keyId: "" },
    keyring: { enabled: false },
    dbEncryption: { enabled: false, cipherPageSize: 4096 },
    kms: {
      region: "",
      keyId: "",
      fallbackToLocal: true,
      timeoutPerOperation: "5s",
      maxRetries: 3,
      azure: { vaultUrl: "" },
      pkcs11: { modulePath: "", slotId: 0, keyLabel: "" },
    },
  },
};

test("a byte order mark is named", async () => {
  const home = homeWith({});
  writeFileSync(join(home, "config.json"), "\uFEFF{}", { mode: 0o600 });
  const failure = await failureOf(loadConfig(home));
  expect(failure.message).toMatch(/begins with a byte order mark/);
  expect(failure.hint).toBe("Save it as UTF-8 without BOM");
});

describe("defaults", () => {
  test("are what an absent file, an empty group and the seed's reference mean", async () => {
    for (const config of [undefined, {}, { security: { kms: {} } }, SEED_000]) {
      expect(await loadConfig(homeWith(config))).toEqual(DEFAULTS);
    }
  });
  test("hold the seed's reference", () => {
    expect(DEFAULTS).toMatchObject(SEED_000);
  });
  test("of a home that does not exist, either", async () => {
    expect(await loadConfig(join(homeWith(), "none"))).toEqual(DEFAULTS);
  });
  test("cost nothing: without a file the schema is not loaded", () => {
    const load = fileURLToPath(new URL("../src/config/load.ts", import.meta.url));
    const loaded = (home: string): string =>
      execFileSync(process.execPath, [
        "--conditions=@lango/source",
        "--input-type=module",
        "--eval",
        `import { registerHooks } from "node:module";
         const seen = [];
         registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } });
         const { loadConfig } = await import(${JSON.stringify(load)});
         await loadConfig(${JSON.stringify(home)});
         console.log(seen.join("\\n"));`,
      ]).toString();
    expect(loaded(homeWith())).not.toMatch(/zod/);
    expect(loaded(homeWith({}))).toMatch(/zod/);
  });
});

describe("a file is read", () => {
  test("and only what it says is changed", async () => {
    const config = await loadConfig(
      homeWith({
        security: {
          signer: { provider: "aws-kms" },
          kms: { region: "us-east-1", timeoutPerOperation: "1.5s" },
          interceptor: { piiCustomPatterns: { employee: "E-\\d{6}" } },
        },
        store: { driver: "postgres", url: "postgres://db.example/lango" },
      }),
    );
    const { security } = DEFAULTS;
    expect(config).toEqual({
      ...DEFAULTS,
      security: {
        ...security,
        signer: { ...security.signer, provider: "aws-kms" },
        kms: { ...security.kms, region: "us-east-1", timeoutPerOperation: "1.5s" },
        interceptor: { ...security.interceptor, piiCustomPatterns: { employee: "E-\\d{6}" } },
      },
      store: { driver: "postgres", url: "postgres://db.example/lango" },
    });
  });
  test("with the examples of the seed", async () => {
    const examples = [
      {
        signer: {
          provider: "rpc",
          rpcUrl: "https://companion.local:8443",
          keyId: "primary-signing-key",
        },
      },
      { signer: { provider: "rpc", rpcUrl: "https://192.168.1.100:8443" } },
      {
        signer: { provider: "azure-kv" },
        kms: { azure: { vaultUrl: "https://myvault.vault.azure.net" } },
      },
      {
        kms: {
          pkcs11: { modulePath: "/usr/lib/softhsm/libsofthsm2.so", keyLabel: "lango-signing-key" },
        },
      },
      { kms: { keyId: "arn:aws:kms:us-east-1:123456789012:key/example-key" } },
      { keyring: { enabled: true }, dbEncryption: { enabled: true, cipherPageSize: 8192 } },
    ];
    for (const security of examples) {
      const config = await loadConfig(homeWith({ security }));
      expect(config).toMatchObject({ security });
      // The first look, which costs nothing, finds the same.
      expect(isShaped({ security })).toBe(true);
      expect(withDefaults({ security })).toEqual(config);
    }
    const patterns = { security: { interceptor: { piiCustomPatterns: { employee: "E" } } } };
    expect(withDefaults(patterns)).toEqual(await loadConfig(homeWith(patterns)));
    expect(isShaped(patterns)).toBe(true);
  });
  test("and not with what is of another type", () => {
    for (const wrong of [null, 5, [], { audit: 5 }, { audit: [] }, { audit: { anchor: {} } }]) {
      expect(isShaped(wrong)).toBe(false);
      expect(withDefaults(wrong)).toEqual(DEFAULTS);
    }
    expect(isShaped({ nope: 1 })).toBe(false);
    expect(isShaped({ toString: {} })).toBe(false);
  });
  test("and never written", async () => {
    const home = homeWith('  {"security":{}}\n\n');
    const before = statSync(join(home, "config.json"), { bigint: true });
    await loadConfig(home);
    const after = statSync(join(home, "config.json"), { bigint: true });
    expect([after.mtimeNs, after.ino]).toEqual([before.mtimeNs, before.ino]);
  });
});

describe("faults in the settings", () => {
  test("a key with a line break stays on one line", async () => {
    const failure = await failureOf(loadConfig(homeWith({ security: { "sig\nner": {} } })));
    expect(failure.message).toContain('security."sig\\nner": there is no such setting');
    expect(failure.message).not.toContain("\n");
  });

  test("are all named at once, by path, without their values", async () => {
    const failure = await failureOf(
      loadConfig(
        homeWith({
          securty: {},
          security: {
            kms: { maxRetries: "three", timeoutPerOperation: "fast", colour: "hunter2" },
            dbEncryption: { cipherPageSize: 5000 },
            signer: { provider: "aws" },
          },
          gateway: { port: 70_000, auth: { token: 5 } },
        }),
      ),
    );
    expect(failure.code).toBe("ERR_CONFIG");
    for (const fault of [
      "security.kms.maxRetries: ",
      'security.kms.timeoutPerOperation: must be a duration from 1ms to 10m, such as "5s"',
      "security.kms.colour: there is no such setting",
      "security.dbEncryption.cipherPageSize: must be a power of two from 1024 to 65536",
      "security.signer.provider: must be local, rpc, aws-kms, gcp-kms, azure-kv, pkcs11 or the name of a scoped package",
      "gateway.port: ",
      "gateway.auth.token: ",
      "securty: there is no such setting",
    ]) {
      expect(failure.message).toContain(fault);
    }
    expect(failure.message).not.toContain("hunter2");
    expect(failure.message).not.toContain("\n");
  });

  test.each(["pin", "PIN", "userPin", "user-pin", "pin-value", "pinSource"])(
    "a PIN as %s is refused with the way to give it",
    async (key) => {
      const failure = await failureOf(
        loadConfig(homeWith({ security: { kms: { pkcs11: { [key]: "123456" } } } })),
      );
      expect(failure.code).toBe("ERR_CONFIG");
      expect(failure.message).toContain(
        `security.kms.pkcs11.${key}: a PIN does not belong into the configuration, set LANGO_PKCS11_PIN instead`,
      );
      expect(failure.message).not.toContain("123456");
    },
  );

  test.each([
    [{ security: { signer: { rpcUrl: "http://companion.local:8443" } } }, "signer.rpcUrl"],
    [{ security: { signer: { rpcUrl: "https://me:secret@companion.local" } } }, "signer.rpcUrl"],
    [
      { security: { kms: { pkcs11: { modulePath: "./libsofthsm2.so" } } } },
      "kms.pkcs11.modulePath",
    ],
    [{ security: { kms: { azure: { algorithm: "RSA1_5" } } } }, "kms.azure.algorithm"],
    [{ security: { interceptor: { piiCustomPatterns: { bad: "(" } } } }, "piiCustomPatterns.bad"],
    [{ security: { interceptor: { approvalPolicy: "never" } } }, "interceptor.approvalPolicy"],
    [{ security: { kdf: "pbkdf2-sha256:100000" } }, "security.kdf"],
    [{ security: { kdf: "scrypt" } }, "security.kdf"],
    [{ security: { kms: { timeoutPerOperation: "11m" } } }, "kms.timeoutPerOperation"],
    [{ security: { kms: { timeoutPerOperation: "0s" } } }, "kms.timeoutPerOperation"],
    [{ payment: { limits: { maxPerTx: 1 } } }, "payment.limits.maxPerTx"],
    [{ payment: { limits: { maxPerTx: "1e3" } } }, "payment.limits.maxPerTx"],
    [{ store: { driver: "postgres", url: "postgres://me:secret@db/lango" } }, "store.url"],
    [{ gateway: null }, "gateway"],
    [[], "the whole"],
  ])("%j names %s", async (config, path) => {
    const { code, message } = await failureOf(loadConfig(homeWith(config)));
    expect(code).toBe("ERR_CONFIG");
    expect(message).toContain(`${path}: `);
    expect(message).not.toContain("secret");
  });

  test("http is for this machine only", async () => {
    for (const host of ["localhost:4566", "127.0.0.1:9010", "[::1]:8080"]) {
      await loadConfig(homeWith({ security: { kms: { endpoint: `http://${host}` } } }));
    }
    const remote = homeWith({ security: { kms: { endpoint: "http://localhost.evil.example" } } });
    expect((await failureOf(loadConfig(remote))).code).toBe("ERR_CONFIG");
  });

  test("__proto__ is a key like any other, and unknown", async () => {
    const { message } = await failureOf(loadConfig(homeWith('{"__proto__": {"security": {}}}')));
    expect(message).toContain("__proto__: there is no such setting");
    const patterns =
      '{"security": {"interceptor": {"piiCustomPatterns": {"__proto__": "x", "a": "b"}}}}';
    const { security } = await loadConfig(homeWith(patterns));
    expect(security.interceptor.piiCustomPatterns).toEqual({ a: "b" });
  });
});

describe("broken JSON", () => {
  test.each([
    ["", "JSON ends too early, after 0 characters"],
    ['{"security": {', "JSON ends too early, after 14 characters"],
    ['{\n  "security": {},\n  oops\n}\n', 'at line 3, column 3: "o"'],
    ['{"a": 1}\n x', 'at line 2, column 2: "x"'],
    ["{'security': {}}", 'at line 1, column 2: "\'"'],
    ['{"gateway": {}, "gateway": {}}', "gateway"],
    [Buffer.from([0x7b, 0xff, 0x7d]).toString("latin1"), "at line 1, column 2"],
  ])("%j says where", async (text, where) => {
    const home = homeWith(text);
    const { code, message } = await failureOf(loadConfig(home));
    expect(code).toBe("ERR_CONFIG");
    expect(message).toMatch(new RegExp(`^${join(home, "config.json")}: `));
    expect(message).toContain(where);
  });
});

describe("the file itself", () => {
  test.each(["0600", "0400", "0644", "0640"])("may have mode %s", async (mode) => {
    expect(await loadConfig(homeWith({}, Number.parseInt(mode, 8)))).toEqual(DEFAULTS);
  });
  test.each(["0620", "0602", "0666", "0664"])("is refused with mode %s", async (mode) => {
    const home = homeWith({}, Number.parseInt(mode, 8));
    const path = join(home, "config.json");
    const failure = await failureOf(loadConfig(home));
    expect(failure).toEqual({
      code: "ERR_CONFIG",
      message: `${path} has mode ${mode}: others may change it`,
      hint: `Run: chmod go-w ${path}`,
    });
    execFileSync("sh", ["-c", failure.hint.replace("Run: ", "")]);
    await loadConfig(home);
  });
  test("is refused when it holds a token that others can read", async () => {
    const home = homeWith({ gateway: { auth: { token: "abc" } } }, 0o644);
    const failure = await failureOf(loadConfig(home));
    expect(failure.message).toContain("has mode 0644: holds a token and others may read it");
    expect(failure.hint).toBe(`Run: chmod 600 ${join(home, "config.json")}`);
    chmodSync(join(home, "config.json"), 0o600);
    expect((await loadConfig(home)).gateway.auth.token).toBe("abc");
  });
  test("is refused when it is another user's", async () => {
    const home = homeWith();
    const path = join(home, "config.json");
    if (process.geteuid?.() === 0) {
      writeFileSync(path, "{}");
      chownSync(path, 54_321, 54_321);
      // Only root can give a file away; everybody else borrows one of root's.
    } else symlinkSync("/etc/passwd", path);
    expect((await failureOf(loadConfig(home))).message).toMatch(/belongs to user (54321|0)$/);
  });
  test("is refused when it is no file", async () => {
    const home = homeWith();
    mkdirSync(join(home, "config.json"));
    expect((await failureOf(loadConfig(home))).message).toContain("is not a regular file");
    const other = homeWith();
    execFileSync("mkfifo", ["-m", "600", join(other, "config.json")]);
    expect((await failureOf(loadConfig(other))).message).toContain("is not a regular file");
  });
  test("is refused beyond 1 MiB", async () => {
    const home = homeWith({});
    writeFileSync(join(home, "config.json"), `{}${" ".repeat(1024 * 1024)}`);
    expect((await failureOf(loadConfig(home))).message).toContain("more than 1 MiB");
  });
});

describe("durations", () => {
  test.each([
    ["250ms", 250],
    ["5s", 5000],
    ["1.5m", 90_000],
    ["1h", 3_600_000],
  ])("%s is %i ms", (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });
  test("of any other form are none", () => {
    for (const text of ["", "5", "5 s", "-5s", "5S", "s", "1e3s", "1m30s", "5s\n", "Infinitys"]) {
      expect(durationMs(text)).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.nat(999_999_999), fc.constantFrom("ms", "s", "m", "h"), (n, unit) => {
        expect(durationMs(`${n}${unit}`)).toBeGreaterThanOrEqual(n);
      }),
    );
  });
});
