import {
  CryptoError,
  type CryptoProvider,
  type KeyDescription,
  type MacAlgorithm,
  type MacRequest,
  type Operation,
  toPlain,
} from "@lango/crypto-core";
import { MACS } from "./algorithms.ts";
import { checkKey, present } from "./answers.ts";
import { isNamed } from "./errors.ts";
import { checkVersion, type Keys } from "./keys.ts";
import { MAX_KMS_BYTES } from "./sealing.ts";
import type { Session } from "./session.ts";

/** GenerateMac and VerifyMac: messages go to the service as they are, 1 to 4096 bytes. */
export function createMacs(
  session: Session,
  keys: Keys,
): Required<Pick<CryptoProvider, "mac" | "verifyMac">> {
  const find = async (
    operation: Operation,
    { keyId, message, keyVersion }: MacRequest & { readonly keyVersion?: string | undefined },
  ): Promise<{ key: KeyDescription; algorithm: MacAlgorithm }> => {
    const { description: key } = await keys.find(operation, keyId, "mac");
    checkVersion(operation, key, keyVersion);
    if (message.length === 0 || message.length > MAX_KMS_BYTES) {
      const text = `AWS KMS takes messages of 1 to ${MAX_KMS_BYTES} bytes, not ${message.length}`;
      throw new CryptoError("ERR_INVALID_ARGUMENT", text, {
        context: { provider: "aws-kms", operation, keyId, hint: "Send a hash of it" },
      });
    }
    // A key for MACs has one of these algorithms.
    return { key, algorithm: key.algorithm as MacAlgorithm };
  };

  return {
    mac: (request) =>
      session.run("mac", request, async () => {
        const { key, algorithm } = await find("mac", request);
        const { keyId, keyVersion } = key;
        const { spec } = MACS[algorithm];
        const input = { KeyId: keyId, Message: request.message, MacAlgorithm: spec };
        const answer = await session.send("GenerateMac", input, request.signal);
        checkKey(keyId, answer.KeyId, "mac");
        return { mac: toPlain(present(answer.Mac, "mac", "MAC")), algorithm, keyId, keyVersion };
      }),
    verifyMac: (request) =>
      session.run("verifyMac", request, async () => {
        const { key, algorithm } = await find("verifyMac", request);
        const { spec, bytes } = MACS[algorithm];
        if (request.mac.length !== bytes) return false;
        const input = {
          KeyId: key.keyId,
          Message: request.message,
          Mac: request.mac,
          MacAlgorithm: spec,
        };
        try {
          const answer = await session.send("VerifyMac", input, request.signal);
          checkKey(key.keyId, answer.KeyId, "verifyMac");
          return answer.MacValid === true;
        } catch (error) {
          if (isNamed(error, "KMSInvalidMacException")) return false;
          throw error;
        }
      }),
  };
}
