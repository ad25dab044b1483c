import type { Original } from "@lango/compat";
import { CryptoError, zero } from "@lango/crypto-core";

/** A secret that is to be brought, by its name there and its name in the vault. */
export interface Brought {
  readonly from: string;
  readonly name: string;
}

/** What of a database of the original comes into the vault. */
export interface ImportPlan {
  readonly bring: readonly Brought[];
  /** Those that stay, and why. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
}

/** What the vault takes: see `Secrets`. */
const MAX_NAME_LENGTH = 256;
const MAX_VALUE_BYTES = 1024 * 1024;

/** Characters of a name that people are shown. */
const MAX_SHOWN = 100;

/** Keys that the original keeps among its secrets. Under these names no agent can ask for them. */
const HIDDEN: ReadonlyMap<string, string> = new Map([
  ["wallet.privatekey", "wallet/privatekey"],
  ["p2p.node.privatekey", "system/p2p.node.privatekey"],
]);

/**
 * Opens every secret once, so that whatever is wrong with one is known before anything is written.
 *
 * @throws CryptoError `ERR_DECRYPTION_FAILED` for a value that was altered; `ERR_CONFLICT` for two secrets that would have the
 *   same name.
 */
export function planImport(original: Original, file: string): ImportPlan {
  const bring: Brought[] = [];
  const left = original.unreadable.map(({ name, key }) => ({
    name,
    reason: `sealed by the key ${short(key.name)} (${short(key.remoteId)}), which only its service opens`,
  }));
  const taken = new Map<string, string>();
  for (const { name: from } of original.secrets) {
    const value = original.read(from);
    const size = value.length;
    zero(value);
    const name = nameInVault(from);
    const reason = whyNot(name, size);
    if (reason !== undefined) {
      left.push({ name: from, reason });
      continue;
    }
    const other = taken.get(name);
    if (other !== undefined) throw sameName(file, [other, from], name);
    taken.set(name, from);
    bring.push({ from, name });
  }
  return { bring, left };
}

/** The original takes any name; what ours does not have becomes `_`. */
const nameInVault = (name: string): string =>
  HIDDEN.get(name) ??
  name
    .replace(/[^A-Za-z0-9._/-]/gu, "_")
    .replace(/\.{2,}/g, (dots) => "_".repeat(dots.length))
    .replace(/^\/|\/$/g, "_");

function whyNot(name: string, size: number): string | undefined {
  if (name === "") return "it has no name";
  if (name.length > MAX_NAME_LENGTH) return `its name has ${name.length} characters, more than 256`;
  return size > MAX_VALUE_BYTES ? `it has ${size} bytes, more than ${MAX_VALUE_BYTES}` : undefined;
}

/** Names come from a file that anyone may have written: of any length, of any characters. */
export const short = (name: string): string =>
  name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}…` : name;
export const quoted = (name: string): string => JSON.stringify(short(name));

const sameName = (file: string, names: readonly string[], name: string): CryptoError =>
  new CryptoError(
    "ERR_CONFLICT",
    `${file} has the secrets ${names.map(quoted).join(" and ")}, and both would be ${name} here`,
    { context: { hint: "Nothing was changed; store one of them there under another name." } },
  );
