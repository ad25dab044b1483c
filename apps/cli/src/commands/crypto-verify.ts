import { type Bytes, CryptoError, fromBase64, type KeyAlgorithm } from "@lango/crypto-core";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { clientFor } from "../cli/crypto.ts";
import { inputOf, readInput } from "../cli/files.ts";
import { decodeSignature, isEcdsa, readSignable, requireKey, signingKey } from "../cli/signing.ts";
import { withVault } from "../cli/vault.ts";

const MAX_SIGNATURE_BYTES = 4096;

/** Verifies a signature or a mac; exit 8 when it does not fit. */
export const run: Handler = async (context, args) => {
  requireKey(args);
  const file = args.string("signature");
  if (file === undefined) {
    throw usageError("--signature is missing", "Name the file that holds the signature");
  }
  const given = fromText(await readInput(file, MAX_SIGNATURE_BYTES));
  return withVault(
    context,
    args,
    { stdinFree: inputOf(args) !== undefined },
    async (vault, providers) => {
      const keyring = { vault, providers };
      const { uri, algorithm, isMac } = await signingKey(keyring, args);
      const { client, keyId } = clientFor(keyring, uri);
      const input = await readSignable(args);
      const what = isMac ? "mac" : "signature";
      const signature = decodeSignature(args, given, algorithm);
      const valid =
        isMac && "message" in input
          ? await client.verifyMac({ keyId, ...input, mac: given })
          : signature !== undefined && (await client.verify({ keyId, ...input, signature }));
      const data = { key: uri, algorithm, kind: what, valid };
      if (valid) {
        return { data, text: `valid ${what} by ${uri}` };
      }
      return {
        data,
        failure: new CryptoError(
          "ERR_INTEGRITY",
          `The ${what} is not one by ${uri} of this input`,
          {
            context: mayBeDer(args, given, algorithm)
              ? { hint: "If it is DER, say --encoding der" }
              : {},
          },
        ),
      };
    },
  );
};

/** Whether it begins as a DER sequence does, and nobody said so. */
const mayBeDer = (args: Arguments, signature: Bytes, algorithm: KeyAlgorithm): boolean =>
  args.string("encoding") === undefined && isEcdsa(algorithm) && signature[0] === 0x30;

/** A signature as a terminal shows it is taken as well as the bytes themselves, which are never all base64 digits. */
function fromText(bytes: Bytes): Bytes {
  return fromBase64(new TextDecoder("latin1").decode(bytes).trimEnd()) ?? bytes;
}
