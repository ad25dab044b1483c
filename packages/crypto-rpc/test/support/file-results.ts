import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { ResultStore } from "@lango/companion";
import { CryptoError, fromBase64, toBase64 } from "@lango/crypto-core";

/** Results in a file: a companion that is killed and started again has those that it gave out. A vault does the same in tables. */
export const fileResults = (file: string): ResultStore => {
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  const results = new Map<string, readonly [hash: string, result: string]>();
  for (const line of lines) {
    const [peerId, id, hash = "", result = ""] = line.split(" ");
    results.set(`${peerId} ${id}`, [hash, result]);
  }
  return {
    find: async (peerId, id) => {
      const found = results.get(`${peerId} ${id}`);
      return found && { hash: fromBase64(found[0])!, result: fromBase64(found[1])! };
    },
    put: async (peerId, id, hash, result) => {
      const name = `${peerId} ${id}`;
      if (results.has(name)) throw new CryptoError("ERR_CONFLICT", "There is a result already");
      results.set(name, [toBase64(hash), toBase64(result)]);
      appendFileSync(file, `${name} ${toBase64(hash)} ${toBase64(result)}\n`);
    },
  };
};
