import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex, utf8 } from "@lango/crypto-core";
import { openStore } from "@lango/store";
import { describe, expect, test } from "vitest";
import { readVault } from "../src/index.ts";
import { expectCode, newHome, reopen, text, withPassphrase } from "./helpers.ts";
import { weakKdf } from "./weak-kdf.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const RELEASES = readdirSync(fixtures, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

interface Expected {
  readonly passphrase: string;
  readonly masterKey: string;
  readonly vaultId: string;
  readonly rows: number;
  readonly head: string;
  readonly message: string;
  readonly plaintext: string;
  readonly signature: string;
  readonly mac: string;
  readonly ciphertexts: readonly string[];
}

/** A copy of the home that a release left. */
const homeOf = (release: string): { home: string; expected: Expected } => {
  const from = join(fixtures, release);
  const home = newHome();
  mkdirSync(home, { mode: 0o700 });
  for (const name of ["keyslots.json", "lango.db"]) {
    copyFileSync(join(from, name), join(home, name));
    chmodSync(join(home, name), 0o600);
  }
  return { home, expected: JSON.parse(readFileSync(join(from, "expected.json"), "utf8")) };
};

test("there is a home of each release", () => {
  expect(RELEASES).toContain("v1");
});

describe.each(RELEASES)("the home of release %s", (release) => {
  test("is seen without a key, once it was migrated", async () => {
    const { home, expected } = homeOf(release);
    // Reading writes nothing, so that it cannot migrate.
    await expectCode(() => readVault({ home }), "ERR_CONFLICT");
    await (await openStore({ file: join(home, "lango.db"), mode: "open" })).close();
    await using locked = await readVault({ home });
    expect(locked.id).toBe(expected.vaultId);
    expect(await locked.audit.verifyLinks()).toMatchObject({
      ok: true,
      rows: expected.rows,
      head: expected.head,
    });
    expect(await locked.status()).toMatchObject({ secretCount: 3, keyCount: 4, slotGeneration: 2 });
  });

  test("opens with its passphrase, and everything in it", async () => {
    const { home, expected } = homeOf(release);
    await expectCode(
      () => reopen(home, { passphrase: "the passphrase before it" }),
      "ERR_WRONG_PASSPHRASE",
    );
    const vault = await reopen(home, { passphrase: expected.passphrase });
    const get = async (name: string, version?: number): Promise<string> =>
      text((await vault.secrets.get(name, version === undefined ? {} : { version })).value);
    expect(await get("openai/api-key")).toBe("second value");
    expect(await get("openai/api-key", 1)).toBe("first value");
    expect(await get("wallet/seed")).toBe("under the key team");
    expect(await get("empty")).toBe("");
    await expectCode(() => get("gone"), "ERR_NOT_FOUND");
    expect(await vault.secrets.list()).toMatchObject([
      { name: "empty", key: "local:default", version: 1 },
      { name: "openai/api-key", key: "local:default", version: 2 },
      { name: "wallet/seed", key: "local:team", version: 1 },
    ]);

    const provider = vault.keys.provider();
    const message = utf8(expected.message);
    const hex = (value: string): Uint8Array => fromHex(value) ?? new Uint8Array();
    const signature = hex(expected.signature);
    expect(await provider.verify!({ keyId: "release", message, signature })).toBe(true);
    expect(await provider.verifyMac!({ keyId: "hook", message, mac: hex(expected.mac) })).toBe(
      true,
    );
    for (const sealed of expected.ciphertexts) {
      const opened = await provider.decrypt({ keyId: "team", ciphertext: hex(sealed) });
      expect(text(opened)).toBe(expected.plaintext);
    }
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  });

  test("opens with its master key", async () => {
    const { home, expected } = homeOf(release);
    const unlock = async (slots: Parameters<ReturnType<typeof withPassphrase>>[0]) => {
      const result = await withPassphrase("", "master-key-file")(slots);
      const secret = fromHex(expected.masterKey) ?? new Uint8Array();
      return { ...result, credential: { ...result.credential, secret } };
    };
    expect(text((await (await reopen(home, { unlock })).secrets.get("empty")).value)).toBe("");
  });

  test("goes on: values, keys and the passphrase change", async () => {
    const { home, expected } = homeOf(release);
    const vault = await reopen(home, { passphrase: expected.passphrase });
    expect(await vault.secrets.set("openai/api-key", utf8("third value"))).toMatchObject({
      version: 3,
    });
    expect(await vault.secrets.set("gone", utf8("back"))).toMatchObject({ version: 2 });
    await vault.keys.provider().rotateKey!({ keyId: "default" });
    await vault.slots.changePassphrase({
      oldPassphrase: utf8(expected.passphrase),
      newPassphrase: utf8("the passphrase after it"),
      ...weakKdf(),
    });
    await vault.close();
    const again = await reopen(home, { passphrase: "the passphrase after it" });
    expect(text((await again.secrets.get("openai/api-key")).value)).toBe("third value");
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  });
});
