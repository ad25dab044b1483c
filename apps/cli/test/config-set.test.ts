import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DEFAULTS } from "../src/config/defaults.ts";
import { getSetting, listSettings } from "../src/config/get.ts";
import { loadConfig } from "../src/config/load.ts";
import { configJsonSchema, type JsonSchema } from "../src/config/schema.ts";
import { setSetting } from "../src/config/set.ts";
import { failureOf, homeWith } from "./config-support.ts";

const fileIn = (home: string): string => readFileSync(join(home, "config.json"), "utf8");

describe("get", () => {
  test("gives a setting, a group, a default", async () => {
    const home = homeWith({ security: { kms: { region: "eu-west-1" } } });
    expect(await getSetting(home, "security.kms.region")).toBe("eu-west-1");
    expect(await getSetting(home, "security.kms.maxRetries")).toBe(3);
    expect(await getSetting(home, "payment.limits")).toEqual(DEFAULTS.payment.limits);
  });
  test.each([
    "nope",
    "security.kms.nope",
    "security.kms.region.length",
    "",
    "__proto__",
    "security.constructor",
  ])("knows no %j", async (path) => {
    expect((await failureOf(getSetting(homeWith(), path))).code).toBe("ERR_NOT_FOUND");
  });
  test("hides a token unless it is asked for", async () => {
    const home = homeWith({ gateway: { auth: { token: "abc123" } } });
    expect(await getSetting(home, "gateway.auth.token")).toBe("(hidden)");
    expect(JSON.stringify(await getSetting(home, "gateway"))).not.toContain("abc123");
    expect(JSON.stringify(await listSettings(home))).not.toContain("abc123");
    expect(await getSetting(home, "gateway.auth.token", { reveal: true })).toBe("abc123");
  });
});

describe("set", () => {
  test.each([
    ["security.keyring.enabled", "true", true],
    ["security.kms.maxRetries", "5", 5],
    ["security.interceptor.presidio.scoreThreshold", "0.85", 0.85],
    ["security.kms.region", "eu-west-1", "eu-west-1"],
    ["security.kms.timeoutPerOperation", "250ms", "250ms"],
    ["security.kms.keyId", "12345", "12345"],
    ["payment.limits.maxPerTx", "2.50", "2.50"],
    ["security.interceptor.approvalPolicy", "all", "all"],
    ["security.interceptor.sensitiveTools", '["exec","secrets_get"]', ["exec", "secrets_get"]],
    ["security.interceptor.piiCustomPatterns.employee", "E-\\d{6}", "E-\\d{6}"],
    [
      "security.kms.azure",
      '{"vaultUrl":"https://v.vault.azure.net"}',
      { vaultUrl: "https://v.vault.azure.net" },
    ],
  ])("%s to %s", async (path, text, value) => {
    const home = homeWith();
    expect(await setSetting(home, path, text)).toEqual(value);
    const read = await getSetting(home, path);
    if (typeof value === "object" && !Array.isArray(value)) expect(read).toMatchObject(value);
    else expect(read).toEqual(value);
  });

  test("leaves the rest of the file as it says, and writes no defaults", async () => {
    const home = homeWith({
      store: { driver: "sqlite" },
      security: { kms: { region: "eu-west-1" } },
    });
    await setSetting(home, "security.kms.maxRetries", "1");
    expect(fileIn(home)).toBe(
      `${JSON.stringify({ store: { driver: "sqlite" }, security: { kms: { region: "eu-west-1", maxRetries: 1 } } }, null, 2)}\n`,
    );
  });

  test("makes the home and the file for their owner alone, and leaves nothing else", async () => {
    const home = join(homeWith(), "new");
    await setSetting(home, "security.keyring.enabled", "true");
    expect(statSync(home).mode & 0o777).toBe(0o700);
    expect(statSync(join(home, "config.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(home)).toEqual(["config.json"]);
  });

  test.each([
    ["security.kms.maxRetries", "many"],
    ["security.kms.maxRetries", "0x5"],
    ["security.keyring.enabled", "yes"],
    ["security.kms.nope", "x"],
    ["nope", "x"],
    ["security.signer", '{"nope":1}'],
    ["security.interceptor.approvalPolicy", "never"],
    ["security.kms.region.deeper", "x"],
    ["__proto__.security", "x"],
    ["security.kms.", "x"],
  ])("of %s to %s is refused and writes nothing", async (path, text) => {
    const home = homeWith({ security: { kms: { region: "eu-west-1" } } });
    const before = fileIn(home);
    const { code, message } = await failureOf(setSetting(home, path, text));
    expect(code).toBe("ERR_CONFIG");
    expect(message).toMatch(/^The setting was not changed: /);
    expect(fileIn(home)).toBe(before);
    expect(readdirSync(home)).toEqual(["config.json"]);
  });

  test("of a PIN names the variable for it", async () => {
    const home = homeWith();
    const { message } = await failureOf(setSetting(home, "security.kms.pkcs11.pin", "123456"));
    expect(message).toContain("LANGO_PKCS11_PIN");
    expect(message).not.toContain("123456");
    expect(readdirSync(home)).toEqual([]);
  });

  test("of a list that is no JSON is a usage error", async () => {
    const { code } = await failureOf(
      setSetting(homeWith(), "security.interceptor.sensitiveTools", "exec"),
    );
    expect(code).toBe("ERR_INVALID_ARGUMENT");
  });

  test("mends a file whose one fault it is, and refuses while another remains", async () => {
    const home = homeWith({ security: { kms: { maxRetries: 99 } } });
    await setSetting(home, "security.kms.maxRetries", "3");
    const twice = homeWith({ security: { kms: { maxRetries: 99 } }, nope: 1 });
    const { message } = await failureOf(setSetting(twice, "security.kms.maxRetries", "3"));
    // Not taken for a fault of what was typed.
    expect(message).toBe(
      `The setting was not changed, ${join(twice, "config.json")} has other faults: nope: there is no such setting`,
    );
  });

  test.each([
    ["security.kms.maxRetries", "abc", 'takes a whole number, not "abc"'],
    ["security.keyring.enabled", "yes", 'takes true or false, not "yes"'],
  ])("of %s to %s says what was found and what is expected", async (path, text, words) => {
    const { message } = await failureOf(setSetting(homeWith(), path, text));
    expect(message).toBe(`The setting was not changed: ${path} ${words}`);
  });

  test.each(["[]", "3", "null"])("refuses to build on a file that holds %s", async (content) => {
    const home = homeWith(content);
    const { code, message } = await failureOf(setSetting(home, "security.keyring.enabled", "true"));
    expect(code).toBe("ERR_CONFIG");
    expect(message).toContain(join(home, "config.json"));
    expect(fileIn(home)).toBe(content);
  });

  test("ends where a folder can never be made", async () => {
    const failure = failureOf(setSetting("/proc/none/deeper", "security.keyring.enabled", "true"));
    expect((await failure).message).toMatch(/^Cannot make \/proc\/none\/deeper: /);
  });

  test("refuses to build on a file that others can change or that is broken", async () => {
    for (const home of [homeWith({}, 0o666), homeWith("{")]) {
      expect((await failureOf(setSetting(home, "security.keyring.enabled", "true"))).code).toBe(
        "ERR_CONFIG",
      );
    }
  });

  test("follows a link, so that a configuration kept elsewhere stays there", async () => {
    const elsewhere = homeWith({});
    const home = homeWith();
    symlinkSync(join(elsewhere, "config.json"), join(home, "config.json"));
    await setSetting(home, "security.keyring.enabled", "true");
    expect(JSON.parse(fileIn(elsewhere))).toEqual({ security: { keyring: { enabled: true } } });
  });

  test("says when the folder cannot be written", async () => {
    const home = homeWith();
    chmodSync(home, 0o500);
    // Root may write everywhere, but nobody makes files in /proc.
    const folder = process.geteuid?.() === 0 ? "/proc/self" : home;
    const { message } = await failureOf(setSetting(folder, "security.keyring.enabled", "true"));
    chmodSync(home, 0o700);
    expect(message).toMatch(/^Cannot write .*\/config\.json: /);
  });
});

describe("the schema", () => {
  const leaves = (schema: JsonSchema): JsonSchema[] =>
    schema.properties === undefined ? [schema] : Object.values(schema.properties).flatMap(leaves);

  test("gives every setting a type, a default and one sentence", () => {
    for (const leaf of leaves(configJsonSchema())) {
      expect(leaf.type).toMatch(/^(string|boolean|integer|number|array|object)$/);
      expect(leaf).toHaveProperty("default");
      expect(leaf.description).toMatch(/^[A-Z].{10,}\.$/);
    }
  });
  test("and the list hold every default, and nothing else", async () => {
    const rebuilt: Record<string, unknown> = {};
    for (const { path, value, isDefault } of await listSettings(homeWith())) {
      expect(isDefault).toBe(true);
      const keys = path.split(".");
      const last = keys.pop() ?? "";
      const parent = keys.reduce<Record<string, unknown>>((group, key) => {
        group[key] ??= {};
        return group[key] as Record<string, unknown>;
      }, rebuilt);
      parent[last] = value;
    }
    expect(rebuilt).toEqual(DEFAULTS);
  });
  test("refuses unknown keys in every group", () => {
    const groups = (schema: JsonSchema): JsonSchema[] =>
      schema.properties === undefined
        ? []
        : [schema, ...Object.values(schema.properties).flatMap(groups)];
    for (const group of groups(configJsonSchema())) expect(group.additionalProperties).toBe(false);
  });
  test("what the list shows can be set again", async () => {
    const home = homeWith();
    for (const { path, value } of await listSettings(home)) {
      await setSetting(home, path, typeof value === "string" ? value : JSON.stringify(value));
    }
    expect(await loadConfig(home)).toEqual(DEFAULTS);
  });
});
