import { isCryptoError } from "@lango/crypto-core";
import { type Attempt, found, skipped } from "./source.ts";
import type { KeyringBackend, KeyringEntry } from "./types.ts";

const NO_BACKEND = "no keyring backend in this version";
const NO_ENTRY = "the keyring holds no entry of Lango";

/** Reads an entry; a keyring that is locked or out of reach is skipped, any other failure is an error. */
export async function takeFromKeyring(
  keyring: KeyringBackend | undefined,
  entry: KeyringEntry,
): Promise<Attempt> {
  if (keyring === undefined) return skipped(NO_BACKEND);
  try {
    const secret = await keyring.get(entry);
    return secret === undefined ? skipped(NO_ENTRY) : found(secret);
  } catch (error) {
    return skipped(reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  if (isCryptoError(error) && error.code === "ERR_UNAVAILABLE") return error.message;
  throw error;
}
