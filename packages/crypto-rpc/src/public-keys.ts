import { createPublicKey, type KeyObject } from "node:crypto";
import type { CallOptions, KeyAlgorithm, PublicKeyResult } from "@lango/crypto-core";
import type { Caller } from "./caller.ts";
import { fail, type Scope } from "./errors.ts";
import { checkKeyId } from "./keys.ts";

/** A public key, and the same to verify with. */
export interface PublicKey extends PublicKeyResult {
  readonly key: KeyObject;
}

interface Wanted {
  readonly keyId: string;
  /** Default: the current one. */
  readonly keyVersion?: string | undefined;
}

/** The public keys of the companion, each remembered for a minute. */
export interface PublicKeys {
  get(wanted: Wanted, scope: Scope, options: CallOptions): Promise<PublicKey>;
  /** The same, but asks whatever is remembered. */
  fetch(wanted: Wanted, scope: Scope, options: CallOptions): Promise<PublicKey>;
  /** An answer named this version as the current one: what is remembered of another one is out of date. */
  learnVersion(keyId: string, keyVersion: string): void;
}

const TTL_MS = 60_000;
const MAX_KEYS = 256;

export const createPublicKeys = (caller: Caller, clock: () => number): PublicKeys => {
  // In the order of writing, the oldest first.
  const known = new Map<string, { readonly key: PublicKey; readonly at: number }>();
  const nameOf = ({ keyId, keyVersion }: Wanted): string => JSON.stringify([keyId, keyVersion]);

  const fetch: PublicKeys["fetch"] = async (wanted, scope, options) => {
    const { keyId, keyVersion } = wanted;
    const answer = await caller.call("getPublicKey", { keyId, keyVersion }, scope, options);
    checkKeyId(answer.keyId, scope);
    if (keyVersion !== undefined && answer.keyVersion !== keyVersion) {
      throw fail("ERR_INTEGRITY", "The companion answered for another version of the key", scope);
    }
    const key = { ...answer, key: readKey(answer, scope) };
    const name = nameOf(wanted);
    known.delete(name);
    known.set(name, { key, at: clock() });
    const [oldest] = known.keys();
    if (known.size > MAX_KEYS && oldest !== undefined) known.delete(oldest);
    return key;
  };

  return {
    fetch,
    get: async (wanted, scope, options) => {
      await caller.enter(scope, options);
      const found = known.get(nameOf(wanted));
      if (found !== undefined && clock() - found.at < TTL_MS) return found.key;
      return await fetch(wanted, scope, options);
    },
    learnVersion: (keyId, keyVersion) => {
      const name = nameOf({ keyId });
      const found = known.get(name);
      if (found !== undefined && found.key.keyVersion !== keyVersion) known.delete(name);
    },
  };
};

/** The key of a SubjectPublicKeyInfo, which has to be of the algorithm that was named. */
const readKey = ({ publicKey, algorithm }: PublicKeyResult, scope: Scope): KeyObject => {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    if (algorithmOf(key) === algorithm) return key;
  } catch {
    // Told below, without the bytes that an error of OpenSSL may quote.
  }
  throw fail("ERR_INTEGRITY", `The companion gave no public key of ${algorithm}`, scope);
};

const CURVES: Readonly<Record<string, KeyAlgorithm>> = {
  prime256v1: "ecdsa-p256",
  secp384r1: "ecdsa-p384",
  secp256k1: "secp256k1",
};

const algorithmOf = ({
  asymmetricKeyType,
  asymmetricKeyDetails,
}: KeyObject): string | undefined => {
  if (asymmetricKeyType === "ec") return CURVES[asymmetricKeyDetails?.namedCurve ?? ""];
  if (asymmetricKeyType === "rsa") return `rsa-${asymmetricKeyDetails?.modulusLength}`;
  return asymmetricKeyType;
};
