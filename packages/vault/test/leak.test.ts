import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, quickKdf, reopen } from "./helpers.ts";

/** The ways in which a value may lie around. */
const forms = (value: string): Map<string, Buffer> => {
  const raw = Buffer.from(value);
  const found = new Map<string, Buffer>([
    ["raw", raw],
    ["hex", Buffer.from(raw.toString("hex"))],
    ["HEX", Buffer.from(raw.toString("hex").toUpperCase())],
    ["percent", Buffer.from(encodeURIComponent(value))],
    [
      "percent, all",
      Buffer.from([...raw].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")),
    ],
    ["JSON", Buffer.from(JSON.stringify(value).slice(1, -1))],
    ["UTF-16LE", Buffer.from(value, "utf16le")],
    ["UTF-16BE", Buffer.from(value, "utf16le").swap16()],
  ]);
  for (const alignment of [0, 1, 2]) {
    // Without the characters at the ends that also depend on the neighbours.
    const encoded = Buffer.concat([Buffer.alloc(alignment), raw]).toString("base64");
    const own = encoded.replace(/=+$/, "").slice(alignment === 0 ? 0 : alignment + 1, -1);
    found.set(`base64 at ${alignment}`, Buffer.from(own));
    found.set(
      `base64url at ${alignment}`,
      Buffer.from(own.replaceAll("+", "-").replaceAll("/", "_")),
    );
  }
  return found;
};

const filesOf = (home: string): Map<string, Buffer> =>
  new Map(readdirSync(home).map((name) => [name, readFileSync(join(home, name))]));

const findings = (home: string, values: readonly string[]): string[] =>
  [...filesOf(home)].flatMap(([file, content]) =>
    values.flatMap((value) =>
      [...forms(value)].flatMap(([form, needle]) =>
        content.includes(needle) ? [`${file}: ${form}`] : [],
      ),
    ),
  );

describe("no file of the home holds", () => {
  test("the search finds what it should", () => {
    const value = 'sk-live-9f8e/7d6c+5b4a"3210';
    for (const [form, needle] of forms(value)) expect(needle.length, form).toBeGreaterThan(15);
    const padded = Buffer.from(`xy${value}z`).toString("base64");
    expect(
      [...forms(value)].some(
        ([form, needle]) => form === "base64 at 2" && padded.includes(needle.toString()),
      ),
    ).toBe(true);
  });

  test("a value or a passphrase, in any form, whatever happened", async () => {
    const home = newHome();
    const values = ['sk-live-9f8e/7d6c+5b4a"3210', "ünïcödé-secret-väluE-0001", "A".repeat(40)];
    // A value that would do as a name, too.
    const pasted = "sk-live-9f8e7d6c5b4a32100123456789";
    values.push(pasted);
    const newPassphrase = "another long passphrase";
    const vault = await makeVault(home);
    const check = (): void => {
      expect(findings(home, [...values, PASSPHRASE, newPassphrase])).toEqual([]);
    };
    for (const [index, value] of values.entries()) {
      await vault.secrets.set(`s${index}`, bytes(value));
      await vault.secrets.get(`s${index}`);
    }
    check();
    expect(readdirSync(home)).toContain("lango.db-wal");
    await vault.secrets.rollback("s0", 1);
    await expectCode(() => vault.secrets.get(values[0] ?? ""), "ERR_INVALID_ARGUMENT");
    for (const call of [
      () => vault.secrets.get(pasted),
      () => vault.secrets.get(pasted, { version: 2 }),
      () => vault.secrets.history(pasted),
      () => vault.secrets.rollback(pasted, 1),
      () => vault.secrets.delete(pasted),
    ]) {
      await expectCode(call, "ERR_NOT_FOUND");
    }
    const provider = vault.keys.provider();
    for (const call of [
      () => provider.encrypt({ keyId: pasted, plaintext: bytes("x") }),
      () => provider.rotateKey?.({ keyId: pasted }),
      () => vault.keys.describe(pasted),
      () => vault.keys.publicKey(`local:${pasted}`),
      () => vault.secrets.set("s0", bytes("x"), { key: pasted }),
    ]) {
      await expectCode(async () => call(), "ERR_KEY_NOT_FOUND");
    }
    await expectCode(
      () => vault.secrets.set("s0", bytes(values[0] ?? ""), { ifVersion: 9 }),
      "ERR_CONFLICT",
    );
    await vault.keys.provider().encrypt({ keyId: "default", plaintext: bytes(values[0] ?? "") });
    await vault.secrets.delete("s1");
    await vault.slots.changePassphrase({
      oldPassphrase: bytes(PASSPHRASE),
      newPassphrase: bytes(newPassphrase),
      kdf: quickKdf(),
      acceptWeakKdf: true,
    });
    check();
    await vault.close();
    check();
    await expectCode(() => reopen(home, { passphrase: PASSPHRASE }), "ERR_WRONG_PASSPHRASE");
    await (await reopen(home, { passphrase: newPassphrase })).close();
    check();
  });
});
