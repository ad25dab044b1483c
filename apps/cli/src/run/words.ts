import { zero } from "@lango/crypto-core";
import { parseTemplate } from "@lango/guard";
import type { Vault } from "@lango/vault";
import { usageError } from "../cli/arguments.ts";

const isReference = (word: string): boolean => /\{\{(secret|decrypt):/.test(word);

/** @throws CryptoError `ERR_INVALID_ARGUMENT` for a reference among the words of the command that was not allowed there. */
export function checkWords(words: readonly string[], isAllowed: boolean): void {
  if (isAllowed || !words.some(isReference)) return;
  throw usageError(
    "The command has a reference to a secret among its words, where every process can read it",
    "Hand it over with --env or --file; or say --allow-argv",
  );
}

/** Puts values in place of the references among the words of a command. */
export async function resolveWords(vault: Vault, words: readonly string[]): Promise<string[]> {
  const resolved: string[] = [];
  for (const word of words) resolved.push(isReference(word) ? await resolve(vault, word) : word);
  return resolved;
}

async function resolve(vault: Vault, word: string): Promise<string> {
  let text = "";
  for (const part of parseTemplate(word)) {
    if (typeof part === "string") {
      text += part;
    } else if (part.kind !== "secret" || part.handle !== undefined) {
      throw usageError("Among the words of a command only {{secret:NAME}} is put in");
    } else {
      text += await readText(vault, part.name);
    }
  }
  return text;
}

/** A secret as a word or variable. @throws CryptoError `ERR_INVALID_ARGUMENT` for one that is no text. */
export async function readText(vault: Vault, name: string): Promise<string> {
  const { value } = await vault.secrets.get(name);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
    if (!text.includes("\0")) return text;
  } catch {
  } finally {
    zero(value);
  }
  throw usageError(`${name} is no text, so no variable of an environment and no word can hold it`);
}
