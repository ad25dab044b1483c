import type { Handler } from "../cli/command.ts";
import { clientFor } from "../cli/crypto.ts";
import { deliver } from "../cli/deliver.ts";
import { inputOf } from "../cli/files.ts";
import { encodeSignature, readSignable, requireKey, signingKey } from "../cli/signing.ts";
import { withVault } from "../cli/vault.ts";

/** Signs stdin or a file; with an HMAC key it computes a mac, and calls it so. */
export const run: Handler = async (context, args) => {
  requireKey(args);
  return withVault(
    context,
    args,
    { stdinFree: inputOf(args) !== undefined },
    async (vault, providers) => {
      const keyring = { vault, providers };
      const { uri, isMac } = await signingKey(keyring, args);
      const { client, keyId } = clientFor(keyring, uri);
      const input = await readSignable(args);
      if (isMac && "message" in input) {
        const { mac, algorithm, keyVersion } = await client.mac({ keyId, ...input });
        context.note(`${algorithm} mac by ${uri}`);
        return deliver(args, mac, "mac", { key: uri, keyVersion, algorithm });
      }
      const { signature, algorithm, keyVersion } = await client.sign({ keyId, ...input });
      context.note(`${algorithm} signature by ${uri}`);
      const encoded = encodeSignature(args, signature);
      return deliver(args, encoded, "signature", { key: uri, keyVersion, algorithm });
    },
  );
};
