// Obtains a credential with the descriptors that its parent gave it, and prints what came of it.
import { fstatSync } from "node:fs";
import { isCryptoError, toHex } from "@lango/crypto-core";
import { createUnlocker } from "../src/index.ts";

const given = JSON.parse(process.argv[2] ?? "");
try {
  const { credential, skipped } = await createUnlocker(given.options).obtain(given.slots);
  const { source, secret } = credential;
  const stdinOpen = fstatSync(0) !== undefined;
  console.log(JSON.stringify({ source, secretHex: toHex(secret), skipped, stdinOpen }));
} catch (error) {
  if (!isCryptoError(error)) throw error;
  const { code, message, context } = error;
  console.log(JSON.stringify({ code, message, hint: context.hint }));
}
