import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bytes, bytesEqual, isCryptoError, utf8, zero } from "@lango/crypto-core";
import { normalizePassphrase } from "@lango/envelope";
import type { Context } from "./context.ts";
import { writeFileWhole } from "./files.ts";
import { writeAll } from "./output.ts";

/**
 * Writes the new passphrase into the keyfile if that holds the old one.
 *
 * @returns The keyfile, if it was changed.
 */
export async function replaceKeyfile(
  context: Context,
  oldPassphrase: Uint8Array,
  newPassphrase: Uint8Array,
): Promise<string | undefined> {
  const file = context.env["LANGO_KEYFILE"] || join(context.home, "passphrase");
  const found = read(file);
  if (found === undefined) {
    return undefined;
  }
  const old = normalizePassphrase(oldPassphrase);
  const held = normalizedOrNothing(found);
  const same = held !== undefined && bytesEqual(held, old);
  zero(found, held, old);
  if (!same) {
    return undefined;
  }
  const content = normalizePassphrase(newPassphrase);
  try {
    await writeFileWhole(file, async (fd) => {
      writeAll(fd, content);
      writeAll(fd, utf8("\n"));
    });
    return file;
  } catch (error) {
    context.warn(`${file} still holds the old passphrase: ${(error as Error).message}`);
    return undefined;
  } finally {
    zero(content);
  }
}

function read(file: string): Uint8Array | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

function normalizedOrNothing(bytes: Uint8Array): Bytes | undefined {
  try {
    return normalizePassphrase(bytes);
  } catch (error) {
    if (isCryptoError(error)) {
      return undefined;
    }
    throw error;
  }
}
