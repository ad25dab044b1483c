import { concat } from "@lango/crypto-core";
import {
  buildKeyslots,
  derivePassphraseKey,
  hkdf,
  jcs,
  type Kdf,
  type Keyslots,
  kdfToJson,
  serializeKeyslots,
} from "@lango/envelope";
import { type SlotFields, sealSlot } from "../../src/slot.ts";
import { pattern, text, toHex } from "../support.ts";
import { INTEGRITY, MALFORMED, sha256, VAULT_ID, VAULT_KEY } from "./common.ts";

export interface KeyslotsVectors {
  vaultKey: string;
  /** By slot id: what the slot is opened with (for a provider slot, the unwrapped key). */
  secrets: Record<string, string>;
  file: string;
  /** `spaces`: so many follow the file. */
  bad: { name: string; error: string; file: string; spaces?: number }[];
}

export const keyslotsVectors = async (): Promise<KeyslotsVectors> => {
  const salt = pattern(16, 99);
  const createdAt = "2026-11-22T00:00:00.000Z";
  const passphrase = text("correct h\u00f6rse");
  const kdfs: Kdf[] = [
    { name: "argon2id", memoryKiB: 1_024, iterations: 2, parallelism: 2, salt },
    { name: "pbkdf2-sha256", iterations: 1_000, salt },
  ];
  const secrets: Record<string, string> = {};
  const slot = async (number: number, extra: object, secret: Uint8Array, slotKey: Uint8Array) => {
    const fields = { id: toHex(pattern(12, number)), ...extra, createdAt } as SlotFields;
    secrets[fields.id] = toHex(secret);
    return sealSlot(VAULT_KEY, VAULT_ID, fields, slotKey, pattern(12, number + 1));
  };
  const raw = async (number: number, kind: string, derive: boolean, extra: object = {}) => {
    const secret = pattern(32, number);
    const salted = concat(VAULT_ID, pattern(12, number));
    const slotKey = derive ? hkdf(secret, salted, `lango/v1/slot-key/${kind}`) : secret;
    return slot(number, { kind, ...extra }, secret, slotKey);
  };
  const slots = [
    await slot(
      10,
      { kind: "passphrase", label: "mine ☂", kdf: kdfToJson(kdfs[0]!) },
      passphrase,
      await derivePassphraseKey(passphrase, kdfs[0]!),
    ),
    await slot(
      20,
      { kind: "passphrase", kdf: kdfToJson(kdfs[1]!), weakKdfAccepted: true },
      passphrase,
      await derivePassphraseKey(passphrase, kdfs[1]!),
    ),
    await raw(30, "recovery", true),
    await raw(40, "master-key-file", true),
    await raw(50, "env", true, { label: "ci" }),
    await raw(60, "keyring", false),
    await raw(70, "provider", false, {
      uri: "aws-kms:arn:aws:kms:eu-west-1:111122223333:key/k",
      keyVersion: "1",
      wrapped: Buffer.from(pattern(60, 70)).toString("base64"),
    }),
  ];
  const keyslots = buildKeyslots(VAULT_KEY, { vaultId: toHex(VAULT_ID), generation: 3, slots });
  const file = Buffer.from(serializeKeyslots(keyslots)).toString();
  const summed = (change: object): string => {
    const { sha256: _, ...content } = { ...keyslots, ...change } as Keyslots;
    return JSON.stringify({ ...content, sha256: sha256(jcs(content as never)) });
  };
  const withSlot = (change: object): string => summed({ slots: [{ ...slots[0], ...change }] });
  const withKdf = (change: object): string => withSlot({ kdf: { ...slots[0]!.kdf, ...change } });
  const unaccepted = (): string =>
    summed({
      slots: slots.map((each) => ({ ...each, weakKdfAccepted: undefined })),
    });
  return {
    vaultKey: toHex(VAULT_KEY),
    secrets,
    file,
    bad: [
      { name: "empty", error: INTEGRITY, file: "" },
      { name: "cut in half", error: INTEGRITY, file: file.slice(0, file.length / 2) },
      {
        name: "checksum does not fit",
        error: INTEGRITY,
        file: file.replace('"generation": 3', '"generation": 4'),
      },
      { name: "MAC does not fit", error: INTEGRITY, file: summed({ generation: 4 }) },
      { name: "slot left out", error: INTEGRITY, file: summed({ slots: slots.slice(1) }) },
      {
        name: "duplicate key",
        error: INTEGRITY,
        file: file.replace('"version": 1', '"version": 1, "version": 1'),
      },
      { name: "newer version", error: "ERR_CONFLICT", file: summed({ version: 2 }) },
      { name: "unknown key", error: MALFORMED, file: summed({ extra: 1 }) },
      { name: "unknown key of a slot", error: MALFORMED, file: withSlot({ extra: 1 }) },
      {
        name: "weakKdfAccepted that is no boolean",
        error: MALFORMED,
        file: withSlot({ weakKdfAccepted: 1 }),
      },
      {
        name: "weakKdfAccepted outside a passphrase slot",
        error: MALFORMED,
        file: summed({ slots: [{ ...slots[2], weakKdfAccepted: true }] }),
      },
      { name: "weakKdfAccepted taken away", error: INTEGRITY, file: unaccepted() },
      { name: "unknown kind", error: MALFORMED, file: withSlot({ kind: "fido" }) },
      { name: "no slots", error: MALFORMED, file: summed({ slots: [] }) },
      {
        name: "33 slots",
        error: MALFORMED,
        file: summed({
          slots: Array.from({ length: 33 }, (_, i) => ({ ...slots[5], id: toHex(pattern(12, i)) })),
        }),
      },
      { name: "slot id twice", error: MALFORMED, file: summed({ slots: [slots[5], slots[5]] }) },
      { name: "generation 0", error: MALFORMED, file: summed({ generation: 0 }) },
      {
        name: "Argon2 memory above 1 GiB",
        error: MALFORMED,
        file: withKdf({ memoryKiB: 1_048_577 }),
      },
      { name: "Argon2 with 17 passes", error: MALFORMED, file: withKdf({ iterations: 17 }) },
      { name: "Argon2 with 17 lanes", error: MALFORMED, file: withKdf({ parallelism: 17 }) },
      {
        name: "salt of 15 bytes",
        error: MALFORMED,
        file: withKdf({ salt: Buffer.alloc(15).toString("base64") }),
      },
      {
        name: "PBKDF2 above 10^7",
        error: MALFORMED,
        file: withSlot({ kdf: { ...slots[1]!.kdf, iterations: 10_000_001 } }),
      },
      {
        name: "more than 256 KiB",
        error: INTEGRITY,
        file,
        spaces: 262_145 - Buffer.byteLength(file),
      },
    ],
  };
};
