import { createHash } from "node:crypto";
import { toHex, toPlain } from "@lango/crypto-core";
import type { Handler } from "../cli/command.ts";
import { deliver } from "../cli/deliver.ts";
import { inputOf, outputOf, readChunks } from "../cli/files.ts";

/** Hashes stdin or a file of any size (FIPS 180-4). */
export const run: Handler = async (_context, args) => {
  const algorithm = args.string("algorithm") ?? "sha256";
  const hash = createHash(algorithm);
  for await (const chunk of readChunks(inputOf(args))) {
    hash.update(chunk);
  }
  const digest = toPlain(hash.digest());
  if (args.flag("hex") && outputOf(args) === undefined) {
    const hex = toHex(digest);
    return { data: { algorithm, hex }, text: hex };
  }
  return deliver(args, digest, "digest", { algorithm, hex: toHex(digest) });
};
