import { toBase64 } from "@lango/crypto-core";
import type { Handler } from "../cli/command.ts";
import { withVault } from "../cli/vault.ts";

/** Prints a public key as SPKI PEM (RFC 7468 §13). */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const key = args.positional("KEY");
    const { spki, algorithm } = await vault.keys.publicKey(key);
    const body = toBase64(spki).replace(/.{64}(?!$)/g, "$&\n");
    const pem = `-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----`;
    return { data: { key, algorithm, pem: `${pem}\n` }, text: pem };
  });
