import {
  CryptoError,
  fromBase64,
  fromBase64Url,
  fromHex,
  isCryptoError,
  parseKeyUri,
} from "@lango/crypto-core";
import { DATA_KEY_ID_BYTES } from "./data-key.ts";
import { INHERITED_KEY_BYTES, INHERITED_NAMES } from "./inherited.ts";
import type { JsonValue } from "./json.ts";
import { type KdfJson, kdfFromJson } from "./kdf.ts";
import type { Keyslots, Slot, SlotKind } from "./keyslots.ts";
import { SEALED_OVERHEAD_BYTES } from "./value.ts";
import { VAULT_ID_BYTES, VAULT_KEY_BYTES } from "./vault-keys.ts";

/** Most slots of one file. */
const MAX_SLOTS = 32;
/** Longest label and key version in UTF-16 code units. */
const MAX_TEXT = 256;
/** Longest wrapped key of a provider slot. RSA-4096 gives 512 bytes, the cloud services less. */
const MAX_WRAPPED_BYTES = 4096;
const SHA256_BYTES = 32;
const CONTROL = /\p{Cc}/u;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

const KINDS: ReadonlySet<JsonValue> = new Set<SlotKind>([
  "passphrase",
  "recovery",
  "master-key-file",
  "env",
  "keyring",
  "provider",
]);
/** Members that slots of a kind may have. */
const ALSO: Partial<Record<SlotKind, readonly string[]>> = {
  passphrase: ["weakKdfAccepted"],
  provider: ["companion"],
};
const KDF_KEYS: Record<KdfJson["name"], readonly string[]> = {
  argon2id: ["iterations", "memoryKiB", "name", "parallelism", "salt"],
  "pbkdf2-sha256": ["iterations", "name", "salt"],
};

type JsonObject = { readonly [key: string]: JsonValue };

/**
 * Checks every member of a keyslots document, all limits included, before any of it is used.
 *
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` naming the path; `ERR_CONFLICT` for a newer version.
 */
export const checkKeyslots = (value: JsonValue): Keyslots => {
  const file = asObject(value, "");
  const { version, generation } = file;
  if (typeof version === "number" && Number.isInteger(version) && version > 1) {
    throw new CryptoError(
      "ERR_CONFLICT",
      `The keyslots file has version ${version}; this program knows version 1`,
      { context: { hint: "Update lango" } },
    );
  }
  const needed = ["generation", "mac", "sha256", "slots", "vaultId", "version"];
  checkKeys(file, "", needed, ["inherited"]);
  check(version === 1, "/version", "is not 1");
  check(isHex(file["vaultId"], VAULT_ID_BYTES), "/vaultId", "is not 32 hex characters");
  check(Number.isSafeInteger(generation) && Number(generation) >= 1, "/generation", "is no count");
  check(isHex(file["sha256"], SHA256_BYTES), "/sha256", "is not 64 hex characters");
  check(isHex(file["mac"], SHA256_BYTES), "/mac", "is not 64 hex characters");
  const slots = file["slots"];
  check(Array.isArray(slots) && slots.length > 0, "/slots", "is no list of slots");
  check(slots.length <= MAX_SLOTS, "/slots", `has ${slots.length} slots, more than ${MAX_SLOTS}`);
  const ids = new Set<JsonValue>();
  for (const [index, slot] of slots.entries()) {
    const { id } = checkSlot(slot, `/slots/${index}`);
    check(!ids.has(id), `/slots/${index}/id`, "is used twice");
    ids.add(id);
  }
  if (file["inherited"] !== undefined) checkInherited(file["inherited"]);
  return file as unknown as Keyslots;
};

const checkSlot = (value: JsonValue, path: string): Slot => {
  const slot = asObject(value, path);
  const kind = slot["kind"];
  check(kind !== undefined && KINDS.has(kind), `${path}/kind`, "is no kind of slot");
  const needed = ["createdAt", "id", "kind", "sealed"];
  if (kind === "passphrase") needed.push("kdf");
  if (kind === "provider") needed.push("keyVersion", "uri", "wrapped");
  checkKeys(slot, path, needed, ["label", ...(ALSO[kind as SlotKind] ?? [])]);
  check(isHex(slot["id"], DATA_KEY_ID_BYTES), `${path}/id`, "is not 24 hex characters");
  check(isTime(slot["createdAt"]), `${path}/createdAt`, "is no time");
  const sealed = base64Bytes(slot["sealed"]);
  check(
    sealed === SEALED_OVERHEAD_BYTES + VAULT_KEY_BYTES,
    `${path}/sealed`,
    "is no sealed vault key",
  );
  if (slot["label"] !== undefined) check(isText(slot["label"]), `${path}/label`, "is no label");
  if (kind === "passphrase") checkKdf(slot["kdf"], `${path}/kdf`);
  const accepted = slot["weakKdfAccepted"];
  if (accepted !== undefined) {
    check(typeof accepted === "boolean", `${path}/weakKdfAccepted`, "is no boolean");
  }
  if (kind === "provider") {
    check(isKeyUri(slot["uri"]), `${path}/uri`, "is no key URI");
    check(isText(slot["keyVersion"]), `${path}/keyVersion`, "is no key version");
    const wrapped = base64Bytes(slot["wrapped"]);
    check(wrapped > 0 && wrapped <= MAX_WRAPPED_BYTES, `${path}/wrapped`, "is no wrapped key");
    if (slot["companion"] !== undefined) checkCompanion(slot["companion"], `${path}/companion`);
  }
  return slot as unknown as Slot;
};

const checkCompanion = (value: JsonValue, path: string): void => {
  const companion = asObject(value, path);
  checkKeys(companion, path, ["fingerprint", "id"]);
  check(isBase64url(companion["id"], 16), `${path}/id`, "is no id of a device");
  check(
    isBase64url(companion["fingerprint"], SHA256_BYTES),
    `${path}/fingerprint`,
    "is no fingerprint",
  );
};

const checkInherited = (value: JsonValue): void => {
  const inherited = asObject(value, "/inherited");
  checkKeys(inherited, "/inherited", [], INHERITED_NAMES);
  // An empty one is left out, so that there is one way to write a file.
  check(Object.keys(inherited).length > 0, "/inherited", "has no keys");
  for (const [name, sealed] of Object.entries(inherited)) {
    const isKey = base64Bytes(sealed) === SEALED_OVERHEAD_BYTES + INHERITED_KEY_BYTES;
    check(isKey, `/inherited/${name}`, "is no sealed key");
  }
};

const checkKdf = (value: JsonValue | undefined, path: string): void => {
  const kdf = asObject(value, path);
  const name = kdf["name"];
  check(name === "argon2id" || name === "pbkdf2-sha256", `${path}/name`, "is no key derivation");
  checkKeys(kdf, path, KDF_KEYS[name]);
  check(typeof kdf["salt"] === "string", `${path}/salt`, "is no text");
  try {
    // The members besides the salt may be of any type here: the check of the ranges refuses what is no integer.
    kdfFromJson(kdf as unknown as KdfJson);
  } catch {
    check(false, path, "asks for costs that are out of range");
  }
};

function check(ok: boolean, path: string, fault: string): asserts ok {
  if (!ok) throw new CryptoError("ERR_MALFORMED_ENVELOPE", `In the keyslots, ${path} ${fault}`);
}

const asObject = (value: JsonValue | undefined, path: string): JsonObject => {
  const ok = typeof value === "object" && value !== null && !Array.isArray(value);
  check(ok, path, "is no object");
  return value as JsonObject;
};

const checkKeys = (
  object: JsonObject,
  path: string,
  needed: readonly string[],
  allowed: readonly string[] = [],
): void => {
  for (const key of needed) check(object[key] !== undefined, `${path}/${key}`, "is missing");
  for (const key of Object.keys(object)) {
    const known = needed.includes(key) || allowed.includes(key);
    // Quoted, since the name comes from the file; JSON escapes its control characters.
    check(known, `${path}/${JSON.stringify(key.slice(0, MAX_TEXT))}`, "is no known key");
  }
};

const isHex = (value: JsonValue | undefined, bytes: number): boolean =>
  typeof value === "string" &&
  value.length === 2 * bytes &&
  value === value.toLowerCase() &&
  fromHex(value) !== undefined;

/** How many bytes a base64 text stands for; −1 if it is none. */
const base64Bytes = (value: JsonValue | undefined): number =>
  typeof value === "string" ? (fromBase64(value)?.length ?? -1) : -1;

const isBase64url = (value: JsonValue | undefined, bytes: number): boolean =>
  typeof value === "string" && fromBase64Url(value)?.length === bytes;

const isText = (value: JsonValue | undefined): boolean =>
  typeof value === "string" && value.length > 0 && value.length <= MAX_TEXT && !CONTROL.test(value);

const isTime = (value: JsonValue | undefined): boolean =>
  typeof value === "string" && TIME.test(value) && !Number.isNaN(Date.parse(value));

const isKeyUri = (value: JsonValue | undefined): boolean => {
  try {
    return typeof value === "string" && parseKeyUri(value).scheme !== "";
  } catch (error) {
    if (isCryptoError(error)) return false;
    throw error;
  }
};
