import { createSecretKey, type KeyObject } from "node:crypto";
import { type Bytes, fromBase64, parts, toBase64, utf8, zero } from "@lango/crypto-core";
import type { DataKey } from "./data-key.ts";
import { openValue, sealValue } from "./value.ts";

// A new vault key in constant time: what stands under a key that the first vault key derived (the MAC of every row, the
// pages of an encrypted database) stays under it, and the key itself goes into the keyslots file, sealed by the new one.

/** The keys that a vault can inherit from an earlier vault key. */
export const INHERITED_NAMES = [
  "approvals",
  "database",
  "formerDatabase",
  "formerRows",
  "rows",
] as const;
export type InheritedName = (typeof INHERITED_NAMES)[number];

/**
 * Member `inherited` of the keyslots file: each key (32 bytes) as base64 of LNG1 under the wrap key of the vault key,
 * AAD = parts(`lango/v1/inherited`, vault id, name). What is not there comes from the vault key.
 *
 * `formerRows` and `formerDatabase` are not in force: rows and a database under them are taken until they are written anew.
 */
export type InheritedKeys = { readonly [Name in InheritedName]?: string };

/** Bytes of an inherited key. */
export const INHERITED_KEY_BYTES = 32;

const INHERITED = utf8("lango/v1/inherited");

const inheritedAad = (vaultId: Uint8Array, name: InheritedName): Bytes =>
  parts(INHERITED, vaultId, utf8(name));

/**
 * Seals the keys that go on under a new vault key.
 *
 * @param wrap - The wrap key of the new vault key.
 * @param keys - What goes on; of 32 bytes each.
 */
export const sealInherited = (
  wrap: DataKey,
  vaultId: Uint8Array,
  keys: { readonly [Name in InheritedName]?: KeyObject | undefined },
): InheritedKeys => {
  const sealed: { [Name in InheritedName]?: string } = {};
  for (const name of INHERITED_NAMES) {
    const key = keys[name]?.export();
    if (key === undefined) continue;
    sealed[name] = toBase64(sealValue(wrap, key, inheritedAad(vaultId, name)));
    zero(key);
  }
  return sealed;
};

/** @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` for a key that was sealed elsewhere or under another name. */
export const openInherited = (
  wrap: DataKey,
  vaultId: Uint8Array,
  inherited: InheritedKeys,
  name: InheritedName,
): KeyObject | undefined => {
  const sealed = inherited[name];
  if (sealed === undefined) return undefined;
  const bytes = openValue(
    wrap,
    fromBase64(sealed) ?? new Uint8Array(),
    inheritedAad(vaultId, name),
  );
  try {
    return createSecretKey(bytes);
  } finally {
    zero(bytes);
  }
};
