import { createHash, createHmac, createSecretKey } from "node:crypto";
import {
  buildKeyslots,
  createSlot,
  deriveVaultKeys,
  hkdf,
  jcs,
  type Kdf,
  type Keyslots,
  kdfToJson,
  openSlot,
  openValue,
  parseKeyslots,
  type Slot,
  sealInherited,
  sealValue,
  serializeKeyslots,
  unwrapSlotKey,
  verifyKeyslots,
} from "@lango/envelope";
import { beforeAll, describe, expect, it } from "vitest";
import { failing, localKeys, withoutWrapAad } from "./providers.ts";
import { bytes, codeOf, errorOf, expectPlain, pattern, text, toHex } from "./support.ts";

const vaultKey = pattern(32, 5);
const vaultId = pattern(16, 9);
const kdf: Kdf = {
  name: "argon2id",
  memoryKiB: 64,
  iterations: 1,
  parallelism: 1,
  salt: pattern(16),
};
const passphrase = text("correct horse");
const provider = localKeys("root");

let slots: Slot[];
let keyslots: Keyslots;
let file: Uint8Array;
beforeAll(async () => {
  slots = [
    await createSlot(vaultKey, vaultId, { kind: "passphrase", passphrase, kdf, label: "mine" }),
    await createSlot(vaultKey, vaultId, { kind: "recovery", entropy: bytes(32, 1) }),
    await createSlot(vaultKey, vaultId, { kind: "master-key-file", key: bytes(32, 2) }),
    await createSlot(vaultKey, vaultId, { kind: "env", key: bytes(32, 3) }),
    await createSlot(vaultKey, vaultId, { kind: "keyring", key: bytes(32, 4) }),
    await createSlot(vaultKey, vaultId, {
      kind: "provider",
      uri: "local:root",
      provider,
      keyId: "root",
    }),
  ];
  keyslots = buildKeyslots(vaultKey, { vaultId: toHex(vaultId), generation: 1, slots });
  file = serializeKeyslots(keyslots);
});

const secrets = [passphrase, bytes(32, 1), bytes(32, 2), bytes(32, 3), bytes(32, 4)];

describe("slots", () => {
  it("open with their credential, of each kind", async () => {
    const read = parseKeyslots(file);
    for (const [i, secret] of secrets.entries()) {
      const opened = await openSlot(read, read.slots[i]!, secret);
      expect(opened).toEqual(vaultKey);
      expectPlain(opened);
    }
    const slot = read.slots[5]!;
    const key = await unwrapSlotKey(read, slot, { provider, keyId: "root" });
    expect(await openSlot(read, slot, key)).toEqual(vaultKey);
    expect(secrets[0]).toEqual(text("correct horse"));
    expect(vaultKey).toEqual(pattern(32, 5));
  });

  it("are made of no secret of zeros, as one that was zeroed too early", async () => {
    const zeros = bytes(32, 0);
    const refused = [
      { kind: "passphrase", passphrase: zeros, kdf },
      { kind: "recovery", entropy: zeros },
      { kind: "master-key-file", key: zeros },
      { kind: "env", key: zeros },
      { kind: "keyring", key: zeros },
    ] as const;
    for (const credential of refused) {
      expect(await codeOf(() => createSlot(vaultKey, vaultId, credential)), credential.kind).toBe(
        "ERR_INVALID_ARGUMENT",
      );
    }
    const last = { kind: "env", key: bytes(32, 0).fill(1, 31) } as const;
    expect((await createSlot(vaultKey, vaultId, last)).kind).toBe("env");
    expect(await codeOf(() => createSlot(zeros, vaultId, last))).toBe("ERR_INVALID_ARGUMENT");
  });

  it("open with no other credential, by one error", async () => {
    for (const [i, slot] of keyslots.slots.entries()) {
      const wrong = i === 0 ? text("correct horsf") : bytes(32, 0xee);
      const error = await errorOf(() => openSlot(keyslots, slot, wrong));
      expect(error.code).toBe("ERR_WRONG_PASSPHRASE");
      expect(error.cause).toBeUndefined();
    }
    const [passphraseSlot] = keyslots.slots;
    for (const wrong of ["", "x", "correct horse\n\n", "Correct horse"]) {
      expect(await codeOf(() => openSlot(keyslots, passphraseSlot!, text(wrong)))).toBe(
        "ERR_WRONG_PASSPHRASE",
      );
    }
    expect(await codeOf(() => openSlot(keyslots, passphraseSlot!, bytes(9, 0xff)))).toBe(
      "ERR_WRONG_PASSPHRASE",
    );
  });

  it("derive from whatever is given, so that a wrong passphrase costs what the right one costs", async () => {
    const costly = await createSlot(vaultKey, vaultId, {
      kind: "passphrase",
      passphrase,
      kdf: { name: "pbkdf2-sha256", iterations: 200_000, salt: pattern(16) },
    });
    const one = buildKeyslots(vaultKey, {
      vaultId: toHex(vaultId),
      generation: 1,
      slots: [costly],
    });
    for (const secret of [passphrase, text("correct horsf"), text("x"), bytes(9, 0xff)]) {
      const opening = openSlot(one, costly, secret).catch(() => "failed");
      // A derivation is still running in its thread when the event loop turns; a refusal without one is not.
      const first = await Promise.race([
        opening,
        new Promise((resolve) => setImmediate(resolve, "at work")),
      ]);
      expect(first).toBe("at work");
      await opening;
    }
  });

  it("take the passphrase as typed: newline and composition do not matter", async () => {
    const typed = text("cafe\u0301 au lait\n");
    const slot = await createSlot(vaultKey, vaultId, {
      kind: "passphrase",
      passphrase: typed,
      kdf,
    });
    const one = buildKeyslots(vaultKey, { vaultId: toHex(vaultId), generation: 2, slots: [slot] });
    expect(await openSlot(one, slot, text("caf\u00e9 au lait"))).toEqual(vaultKey);
  });

  it("do not open each other: the same key in two slots gives two slot keys", async () => {
    const key = bytes(32, 3);
    const other = await createSlot(vaultKey, vaultId, { kind: "env", key });
    const mixed: Slot = { ...keyslots.slots[3]!, sealed: other.sealed };
    expect(await codeOf(() => openSlot(keyslots, mixed, key))).toBe("ERR_WRONG_PASSPHRASE");
  });

  it("bind every field", async () => {
    const slot = keyslots.slots[0]!;
    for (const change of [
      { label: "yours" },
      { createdAt: "2020-01-01T00:00:00.000Z" },
      { kdf: kdfToJson({ ...kdf, salt: pattern(16, 1) }) },
      { id: "00".repeat(12) },
    ]) {
      const altered = { ...slot, ...change };
      expect(await codeOf(() => openSlot(keyslots, altered, passphrase))).toBe(
        "ERR_WRONG_PASSPHRASE",
      );
    }
    const { label: _, ...unlabelled } = slot;
    expect(await codeOf(() => openSlot(keyslots, unlabelled, passphrase))).toBe(
      "ERR_WRONG_PASSPHRASE",
    );
    const asEnv: Slot = { ...keyslots.slots[2]!, kind: "env" };
    expect(await codeOf(() => openSlot(keyslots, asEnv, bytes(32, 2)))).toBe(
      "ERR_WRONG_PASSPHRASE",
    );
    const otherVault = { ...keyslots, vaultId: "00".repeat(16) };
    expect(await codeOf(() => openSlot(otherVault, slot, passphrase))).toBe("ERR_WRONG_PASSPHRASE");
  });

  it("name a companion outside of what they bind: the file's MAC covers it, and it can be exchanged", async () => {
    const of = (letter: string) => ({ id: letter.repeat(22), fingerprint: letter.repeat(43) });
    const provider = localKeys("kek");
    const slot = await createSlot(vaultKey, vaultId, {
      ...({ kind: "provider", uri: "local:kek", provider, keyId: "kek" } as const),
      companion: of("A"),
    });
    expect(slot.companion).toEqual(of("A"));
    const renewed = { ...slot, companion: of("Q") };
    const content = { vaultId: toHex(vaultId), generation: 1, slots: [renewed] };
    const file = parseKeyslots(serializeKeyslots(buildKeyslots(vaultKey, content)));
    const secret = await unwrapSlotKey(file, renewed, { provider, keyId: "kek" });
    expect(await openSlot(file, renewed, secret)).toEqual(vaultKey);
    const forged = { ...file, slots: [slot] };
    expect(await codeOf(() => openSlot(forged, slot, secret))).toBe("ERR_INTEGRITY");
  });

  it("refuse keys that are not 32 bytes long, and say what was found", async () => {
    for (const length of [0, 16, 31, 33, 64]) {
      const key = bytes(length);
      const error = await errorOf(() => createSlot(vaultKey, vaultId, { kind: "env", key }));
      expect(error.code).toBe("ERR_INVALID_ARGUMENT");
      expect(error.message).toContain(`${length} bytes, not 32`);
      expect(await codeOf(() => openSlot(keyslots, keyslots.slots[3]!, key))).toBe(
        "ERR_INVALID_ARGUMENT",
      );
    }
    const entropy = bytes(16);
    expect(await codeOf(() => createSlot(vaultKey, vaultId, { kind: "recovery", entropy }))).toBe(
      "ERR_INVALID_ARGUMENT",
    );
    const short = { kind: "passphrase", passphrase: text("1234567") } as const;
    expect(await codeOf(() => createSlot(vaultKey, vaultId, short))).toBe("ERR_INVALID_ARGUMENT");
    const env = { kind: "env", key: bytes(32) } as const;
    expect(await codeOf(() => createSlot(bytes(31), vaultId, env))).toBe("ERR_INVALID_ARGUMENT");
    expect(await codeOf(() => createSlot(vaultKey, bytes(15), env))).toBe("ERR_INVALID_ARGUMENT");
  });

  it("of providers bind vault and slot in the wrap, where the provider can", async () => {
    const slot = keyslots.slots[5]!;
    const elsewhere = { ...keyslots, vaultId: "00".repeat(16) };
    expect(await codeOf(() => unwrapSlotKey(elsewhere, slot, { provider, keyId: "root" }))).toBe(
      "ERR_DECRYPTION_FAILED",
    );
    const down = failing(provider, "ERR_UNAVAILABLE");
    expect(
      await codeOf(() => unwrapSlotKey(keyslots, slot, { provider: down, keyId: "root" })),
    ).toBe("ERR_UNAVAILABLE");
    const bare = withoutWrapAad(provider);
    const bareSlot = await createSlot(vaultKey, vaultId, {
      kind: "provider",
      uri: "local:root",
      provider: bare,
      keyId: "root",
    });
    const one = buildKeyslots(vaultKey, {
      vaultId: toHex(vaultId),
      generation: 1,
      slots: [bareSlot],
    });
    const key = await unwrapSlotKey(one, bareSlot, { provider: bare, keyId: "root" });
    expect(await openSlot(one, bareSlot, key)).toEqual(vaultKey);
    expect(
      await codeOf(async () =>
        unwrapSlotKey(keyslots, keyslots.slots[0]!, { provider, keyId: "root" }),
      ),
    ).toBe("ERR_INVALID_ARGUMENT");
  });
});

describe("the keyslots file", () => {
  it("goes to bytes and back", () => {
    expect(parseKeyslots(file)).toEqual(keyslots);
    expect(serializeKeyslots(parseKeyslots(file))).toEqual(file);
    expect(Buffer.from(file).toString().endsWith("\n}\n")).toBe(true);
    expectPlain(file);
  });

  it("carries the MAC and the checksum of the format", () => {
    const { mac, sha256, ...unsigned } = keyslots;
    const key = hkdf(vaultKey, vaultId, "lango/v1/slotfile");
    expect(mac).toBe(
      createHmac("sha256", key)
        .update(jcs(unsigned as never))
        .digest("hex"),
    );
    const summed = jcs({ ...unsigned, mac } as never);
    expect(sha256).toBe(createHash("sha256").update(summed).digest("hex"));
    verifyKeyslots(vaultKey, keyslots);
  });

  it("tells an altered file from a wrong passphrase", async () => {
    const resummed = (change: Partial<Keyslots>): Keyslots => {
      const { sha256: _, ...content } = { ...keyslots, ...change };
      return {
        ...content,
        sha256: createHash("sha256")
          .update(jcs(content as never))
          .digest("hex"),
      };
    };
    for (const altered of [
      resummed({ generation: 7 }),
      resummed({ slots: slots.slice(0, 1) }),
      resummed({ slots: [...slots].reverse() }),
      resummed({ mac: "00".repeat(32) }),
    ]) {
      const read = parseKeyslots(serializeKeyslots(altered));
      const slot = read.slots.find(({ kind }) => kind === "passphrase")!;
      expect(await codeOf(() => openSlot(read, slot, passphrase))).toBe("ERR_INTEGRITY");
      expect(await codeOf(() => verifyKeyslots(vaultKey, read))).toBe("ERR_INTEGRITY");
    }
    expect(await codeOf(() => verifyKeyslots(bytes(32), keyslots))).toBe("ERR_INTEGRITY");
  });

  it("names truncation and damage at each length and for each flipped byte", async () => {
    for (let length = 0; length < file.length - 1; length++) {
      const error = await errorOf(() => parseKeyslots(file.subarray(0, length)));
      expect(error.code).toBe("ERR_INTEGRITY");
      expect(error.message).toMatch(/^The keyslots file is truncated or damaged: /);
    }
    for (let i = 0; i < file.length; i++) {
      const altered = file.slice();
      altered[i]! ^= 1;
      let found: unknown;
      try {
        // White space is not part of the document.
        expect(parseKeyslots(altered)).toEqual(keyslots);
      } catch (error) {
        found = error;
      }
      if (found !== undefined) {
        expect(["ERR_INTEGRITY", "ERR_MALFORMED_ENVELOPE", "ERR_CONFLICT"]).toContain(
          await codeOf(() => parseKeyslots(altered)),
        );
      }
    }
  });

  it("refuses what is out of its limits, naming the path, before any key derivation", async () => {
    const slot = slots[0]!;
    const providerSlot = slots[5]!;
    const withSlot = (change: object) => ({ ...keyslots, slots: [{ ...slot, ...change }] });
    const withProvider = (change: object) => ({
      ...keyslots,
      slots: [{ ...providerSlot, ...change }],
    });
    const withKdf = (change: object) => withSlot({ kdf: { ...slot.kdf, ...change } });
    const { kdf: _, ...noKdf } = slot;
    const { uri: __, ...noUri } = providerSlot;
    const companion = { id: "A".repeat(22), fingerprint: "A".repeat(43) };
    const cases: [unknown, string][] = [
      [null, " is no object"],
      [[], " is no object"],
      [{ ...keyslots, version: 0 }, "/version is not 1"],
      [{ ...keyslots, extra: 1 }, '/"extra" is no known key'],
      [{ ...keyslots, mac: undefined }, "/mac is missing"],
      [{ ...keyslots, vaultId: "AB".repeat(16) }, "/vaultId is not 32 hex characters"],
      [{ ...keyslots, generation: 0 }, "/generation is no count"],
      [{ ...keyslots, generation: 1.5 }, "/generation is no count"],
      [{ ...keyslots, slots: [] }, "/slots is no list of slots"],
      [{ ...keyslots, slots: Array(33).fill(slot) }, "/slots has 33 slots, more than 32"],
      [{ ...keyslots, slots: [slot, slot] }, "/slots/1/id is used twice"],
      [{ ...keyslots, slots: [7] }, "/slots/0 is no object"],
      [{ ...keyslots, inherited: [] }, "/inherited is no object"],
      [{ ...keyslots, inherited: {} }, "/inherited has no keys"],
      [{ ...keyslots, inherited: { wrap: slot.sealed } }, '/inherited/"wrap" is no known key'],
      [{ ...keyslots, inherited: { rows: "AAAA" } }, "/inherited/rows is no sealed key"],
      [{ ...keyslots, inherited: { database: 1 } }, "/inherited/database is no sealed key"],
      [withSlot({ kind: "yubikey" }), "/slots/0/kind is no kind of slot"],
      [withSlot({ id: "zz" }), "/slots/0/id is not 24 hex characters"],
      [withSlot({ uri: "local:x" }), '/slots/0/"uri" is no known key'],
      [withSlot({ label: "" }), "/slots/0/label is no label"],
      [withSlot({ label: "a\u001b[2J" }), "/slots/0/label is no label"],
      [withSlot({ label: "x".repeat(257) }), "/slots/0/label is no label"],
      [withSlot({ createdAt: "yesterday" }), "/slots/0/createdAt is no time"],
      [withSlot({ sealed: "AAAA" }), "/slots/0/sealed is no sealed vault key"],
      [{ ...keyslots, slots: [noKdf] }, "/slots/0/kdf is missing"],
      [withKdf({ name: "scrypt" }), "/slots/0/kdf/name is no key derivation"],
      [withKdf({ memoryKiB: 1_048_577 }), "/slots/0/kdf asks for costs that are out of range"],
      [withKdf({ iterations: 17 }), "/slots/0/kdf asks for costs that are out of range"],
      [withKdf({ parallelism: 17 }), "/slots/0/kdf asks for costs that are out of range"],
      [withKdf({ parallelism: "1" }), "/slots/0/kdf asks for costs that are out of range"],
      [withKdf({ salt: "AAAA" }), "/slots/0/kdf asks for costs that are out of range"],
      [withKdf({ salt: 1 }), "/slots/0/kdf/salt is no text"],
      [withKdf({ secret: "" }), '/slots/0/kdf/"secret" is no known key'],
      [
        withSlot({ kdf: { name: "pbkdf2-sha256", iterations: 10_000_001, salt: slot.kdf?.salt } }),
        "/slots/0/kdf asks for costs that are out of range",
      ],
      [{ ...keyslots, slots: [noUri] }, "/slots/0/uri is missing"],
      [withProvider({ uri: "pkcs11:module-path=/tmp/x.so" }), "/slots/0/uri is no key URI"],
      [withProvider({ keyVersion: "a\nb" }), "/slots/0/keyVersion is no key version"],
      [withProvider({ wrapped: "" }), "/slots/0/wrapped is no wrapped key"],
      [
        withProvider({ wrapped: Buffer.alloc(4_097).toString("base64") }),
        "/slots/0/wrapped is no wrapped key",
      ],
      [withSlot({ companion }), '/slots/0/"companion" is no known key'],
      [withProvider({ companion: [] }), "/slots/0/companion is no object"],
      [
        withProvider({ companion: { id: companion.id } }),
        "/slots/0/companion/fingerprint is missing",
      ],
      [
        withProvider({ companion: { ...companion, url: "https://evil" } }),
        '/slots/0/companion/"url" is no known key',
      ],
      [
        withProvider({ companion: { ...companion, id: "A".repeat(21) } }),
        "/slots/0/companion/id is no id of a device",
      ],
      [
        // 32 bytes, but not as they are written.
        withProvider({ companion: { ...companion, fingerprint: `${"A".repeat(42)}B` } }),
        "/slots/0/companion/fingerprint is no fingerprint",
      ],
    ];
    for (const [document, message] of cases) {
      const error = await errorOf(() => parseKeyslots(text(JSON.stringify(document))));
      expect(error.message).toBe(`In the keyslots, ${message}`);
      expect(error.code).toBe("ERR_MALFORMED_ENVELOPE");
    }
  });

  it("refuses duplicate keys, a newer version, and more than 256 KiB", async () => {
    const twice = Buffer.from(file)
      .toString()
      .replace('"version": 1', '"version": 1, "version": 1');
    const duplicate = await errorOf(() => parseKeyslots(text(twice)));
    expect(duplicate.code).toBe("ERR_INTEGRITY");
    expect(duplicate.message).toContain('the key "/version" twice');
    const newer = await errorOf(() =>
      parseKeyslots(text(JSON.stringify({ ...keyslots, version: 2, x: 1 }))),
    );
    expect(newer.code).toBe("ERR_CONFLICT");
    expect(newer.message).toContain("version 2; this program knows version 1");
    const padded = Buffer.concat([file, Buffer.alloc(256 * 1_024, " ")]);
    expect(await codeOf(() => parseKeyslots(padded))).toBe("ERR_INTEGRITY");
  });

  it("is not built when it could not be read again", async () => {
    const content = { vaultId: toHex(vaultId), generation: 1, slots };
    for (const wrong of [{ generation: 0 }, { slots: [] }, { slots: [slots[0]!, slots[0]!] }]) {
      expect(await codeOf(() => buildKeyslots(vaultKey, { ...content, ...wrong }))).toBe(
        "ERR_MALFORMED_ENVELOPE",
      );
    }
    expect(await codeOf(() => buildKeyslots(vaultKey, { ...content, vaultId: "00" }))).toBe(
      "ERR_INVALID_ARGUMENT",
    );
    const big = { ...slots[5]!, wrapped: Buffer.alloc(4_096).toString("base64") };
    const many = Array.from({ length: 32 }, (_, i) => ({
      ...big,
      id: i.toString(16).padStart(24, "0"),
      uri: `local:${"x".repeat(2_000)}`,
      label: "é".repeat(256),
      keyVersion: "é".repeat(256),
    }));
    const large = buildKeyslots(vaultKey, { ...content, slots: many });
    const length = JSON.stringify(large).length;
    if (length > 256 * 1_024) {
      expect(await codeOf(() => serializeKeyslots(large))).toBe("ERR_INVALID_ARGUMENT");
    } else expect(parseKeyslots(serializeKeyslots(large))).toEqual(large);
  });
});

describe("the keys of a vault", () => {
  it("are derived by their infos, with the vault id as salt", () => {
    const keys = deriveVaultKeys(vaultKey, vaultId);
    expect(keys.database()).toEqual(hkdf(vaultKey, vaultId, "lango/v1/database"));
    expect(keys.wrap.id).toEqual(hkdf(vaultKey, vaultId, "lango/v1/wrap-id", 12));
    const mac = (key: Parameters<typeof createHmac>[1]) =>
      createHmac("sha256", key).update("x").digest("hex");
    expect(mac(keys.rows.current)).toBe(mac(hkdf(vaultKey, vaultId, "lango/v1/rows")));
    expect(mac(keys.slotFile)).toBe(mac(hkdf(vaultKey, vaultId, "lango/v1/slotfile")));
    expect(mac(keys.approvals)).toBe(mac(hkdf(vaultKey, vaultId, "lango/v1/approvals")));
    const again = deriveVaultKeys(vaultKey, vaultId);
    expect(openValue(again.wrap, sealValue(keys.wrap, text("dek"), bytes(0)), bytes(0))).toEqual(
      text("dek"),
    );
  });

  describe("of a vault that had another vault key before", () => {
    const nextKey = pattern(32, 6);
    const before = deriveVaultKeys(vaultKey, vaultId);
    const { wrap } = deriveVaultKeys(nextKey, vaultId);
    const inherited = sealInherited(wrap, vaultId, {
      ...{ rows: before.rows.current, approvals: before.approvals },
      database: createSecretKey(before.database()),
    });

    it("go on where they are inherited, and are new elsewhere", () => {
      const keys = deriveVaultKeys(nextKey, vaultId, inherited);
      expect(keys.rows.current.equals(before.rows.current)).toBe(true);
      expect(keys.rows.former).toBeUndefined();
      expect(keys.approvals.equals(before.approvals)).toBe(true);
      expect(keys.database()).toEqual(before.database());
      expect(keys.slotFile.equals(before.slotFile)).toBe(false);
      expect(keys.wrap.id).not.toEqual(before.wrap.id);
      keys.destroy();
      expect(keys.formerDatabase()).toBeUndefined();
      const former = sealInherited(wrap, vaultId, {
        ...{ formerRows: before.rows.current, formerDatabase: createSecretKey(before.database()) },
      });
      const renewing = deriveVaultKeys(nextKey, vaultId, former);
      expect(renewing.formerDatabase()).toEqual(before.database());
      expect(renewing.database()).not.toEqual(before.database());
      expect(renewing.rows.former?.equals(before.rows.current)).toBe(true);
      expect(renewing.rows.current.equals(before.rows.current)).toBe(false);
    });

    it("open under this vault key, vault and name alone", async () => {
      const { rows, approvals } = inherited;
      for (const derive of [
        () => deriveVaultKeys(vaultKey, vaultId, inherited),
        () => deriveVaultKeys(nextKey, pattern(16, 10), inherited),
        () => deriveVaultKeys(nextKey, vaultId, { rows: approvals!, approvals: rows! }),
      ]) {
        expect(await codeOf(derive)).toBe("ERR_DECRYPTION_FAILED");
      }
    });

    it("are under the MAC of the file, which has no such member without them", async () => {
      const content = { vaultId: toHex(vaultId), generation: 2, slots };
      const without = buildKeyslots(nextKey, { ...content, inherited: {} });
      expect(without).toEqual(buildKeyslots(nextKey, content));
      expect(Object.keys(without)).not.toContain("inherited");
      const written = buildKeyslots(nextKey, { ...content, inherited });
      expect(parseKeyslots(serializeKeyslots(written))).toEqual(written);
      verifyKeyslots(nextKey, written);
      const { rows: _, ...fewer } = inherited;
      const altered = { ...written, inherited: fewer };
      expect(await codeOf(() => verifyKeyslots(nextKey, altered))).toBe("ERR_INTEGRITY");
    });
  });

  it("are others for another vault id", () => {
    const [a, b] = [deriveVaultKeys(vaultKey, vaultId), deriveVaultKeys(vaultKey, pattern(16, 10))];
    expect(a.database()).not.toEqual(b.database());
    expect(a.wrap.id).not.toEqual(b.wrap.id);
    expect(a.wrap.commitment).not.toEqual(b.wrap.commitment);
  });

  it("are gone once destroyed", async () => {
    const keys = deriveVaultKeys(vaultKey, vaultId);
    keys.destroy();
    keys.destroy();
    expect(await codeOf(() => keys.database())).toBe("ERR_CLOSED");
    expect(await codeOf(() => sealValue(keys.wrap, bytes(1), bytes(0)))).toBe("ERR_CLOSED");
    expect(await codeOf(() => deriveVaultKeys(bytes(31), vaultId))).toBe("ERR_INVALID_ARGUMENT");
  });
});
