import { randomUUID } from "node:crypto";
import type { Harness, HarnessKeys } from "@lango/crypto-conformance";
import {
  CryptoError,
  type CryptoProvider,
  type KeyAlgorithm,
  type KeyUsage,
  type MacAlgorithm,
  parseKeyUri,
  type SignatureAlgorithm,
} from "@lango/crypto-core";
import type { KeyType } from "@lango/vault";
import { type Arguments, usageError } from "./arguments.ts";
import { describeRemoteKey } from "./remote-key.ts";

type Keys = { -readonly [K in keyof HarnessKeys]: HarnessKeys[K] };

const MISSING = "lango-check-no-such-key";

/** A well-formed name of a key, beside one that is known: some services know only whole paths. */
function besides(provider: string, known: string | undefined, name: string): string {
  const [, ring] = /^(projects\/.+\/cryptoKeys\/)/.exec(known ?? "") ?? [];
  if (provider === "gcp-kms" && ring !== undefined) return `${ring}${name}`;
  return provider === "aws-kms" ? `alias/${name}` : name;
}

/**
 * The keys that were named for the checks, and with `--create` new ones for what was not named. Nothing else of the
 * service is touched.
 */
export async function liveHarness(
  provider: CryptoProvider,
  args: Arguments,
  created: (keyId: string) => void,
): Promise<Harness> {
  // The checks compare what comes back with the name of the key: an alias would be none of theirs.
  const keyIdOf = async (given: string, use: KeyType): Promise<string> => {
    const isUri = given.startsWith(`${provider.name}:`);
    const { keyId } = isUri ? parseKeyUri(given) : { keyId: given };
    return (await describeRemoteKey(provider, keyId, use)).keyId;
  };
  const aead: string[] = [];
  for (const given of args.strings("aead")) aead.push(await keyIdOf(given, "encryption"));
  const disabled = args.string("disabled");
  const keys: Keys = {
    missing: MISSING,
    ...(await byAlgorithm(args, "signing", keyIdOf)),
    ...(await byAlgorithm(args, "mac", keyIdOf)),
    ...(disabled === undefined ? {} : { disabled: await keyIdOf(disabled, "encryption") }),
  };
  const [, named = ""] = args.positional("URI").split(/:(.*)/s);
  if (named !== "") await addByDescription(provider, named, keys, aead);
  const known = [...aead, ...Object.values({ ...keys.signing, ...keys.mac })][0];
  keys.missing = besides(provider.name, known, MISSING);
  if (args.flag("create")) {
    const fresh = (): string => besides(provider.name, known, `lango-check-${randomUUID()}`);
    const make = async (algorithm: KeyAlgorithm, usage: KeyUsage): Promise<string> => {
      const { keyId } = await provider.createKey!({ keyId: fresh(), algorithm, usage });
      created(keyId);
      return keyId;
    };
    await addNewKeys(provider, keys, aead, make);
    keys.fresh = fresh;
  }
  const [one, two] = aead;
  return {
    provider,
    keys: { ...keys, ...(one !== undefined && two !== undefined ? { aead: [one, two] } : {}) },
    // Each call may be billed.
    everyByte: false,
    parallelCalls: 10,
  };
}

/** The keys of an option; nothing when it is not there, since a check without a key is told from one that fails. */
async function byAlgorithm(
  args: Arguments,
  option: "signing" | "mac",
  keyIdOf: (given: string, use: KeyType) => Promise<string>,
): Promise<Partial<Keys>> {
  const keys: Record<string, string> = {};
  for (const text of args.strings(option)) {
    const [, algorithm = "", key = ""] = /^([a-z0-9-]+)=(.+)$/s.exec(text) ?? [];
    if (key === "") throw usageError(`--${option} takes ALG=URI`, "See the examples in --help");
    keys[algorithm] = await keyIdOf(key, "signing");
  }
  return Object.keys(keys).length === 0 ? {} : { [option]: keys };
}

const SCHEMES: Readonly<Partial<Record<KeyAlgorithm, readonly SignatureAlgorithm[]>>> = {
  "ecdsa-p256": ["ecdsa-p256-sha256"],
  "ecdsa-p384": ["ecdsa-p384-sha384"],
  secp256k1: ["ecdsa-secp256k1-sha256"],
  ed25519: ["ed25519"],
  "rsa-2048": [
    ...(["rsa-pss-sha256", "rsa-pss-sha384", "rsa-pss-sha512"] as const),
    ...(["rsa-pkcs1-sha256", "rsa-pkcs1-sha384", "rsa-pkcs1-sha512"] as const),
  ],
};

/** Puts the key of the URI where its description says that it belongs. */
async function addByDescription(
  provider: CryptoProvider,
  named: string,
  keys: Keys,
  aead: string[],
): Promise<void> {
  const { keyId, algorithm, usage } = await describeRemoteKey(provider, named, "encryption");
  if (usage === "encryption") {
    aead.push(keyId);
  } else if (usage === "mac") {
    keys.mac = { ...keys.mac, [algorithm]: keyId };
  } else {
    const schemes = SCHEMES[algorithm.startsWith("rsa-") ? "rsa-2048" : algorithm] ?? [];
    const offered = schemes.filter((each) =>
      provider.capabilities.signatureAlgorithms.includes(each),
    );
    keys.signing = { ...Object.fromEntries(offered.map((each) => [each, keyId])), ...keys.signing };
  }
}

async function addNewKeys(
  { name, capabilities }: CryptoProvider,
  keys: Keys,
  aead: string[],
  make: (algorithm: KeyAlgorithm, usage: KeyUsage) => Promise<string>,
): Promise<void> {
  const { keyAlgorithms, operations } = capabilities;
  if (!operations.includes("createKey")) {
    throw new CryptoError("ERR_UNSUPPORTED", `${name} makes no keys`, {
      context: { provider: name, hint: "Name the keys with --aead, --signing and --mac" },
    });
  }
  const encryption = keyAlgorithms.find(
    (each) => each === "aes-256-gcm" || each.startsWith("rsa-"),
  );
  if (encryption !== undefined) {
    while (aead.length < 2) aead.push(await make(encryption, "encryption"));
    if (operations.includes("rotateKey")) keys.rotatable = await make(encryption, "encryption");
  }
  for (const algorithm of keyAlgorithms) {
    if (algorithm.startsWith("hmac-")) {
      keys.mac = {
        [algorithm]: keys.mac?.[algorithm as MacAlgorithm] ?? (await make(algorithm, "mac")),
        ...keys.mac,
      };
      continue;
    }
    const schemes = SCHEMES[algorithm] ?? [];
    const open = schemes.filter(
      (each) =>
        capabilities.signatureAlgorithms.includes(each) && keys.signing?.[each] === undefined,
    );
    if (open.length === 0) continue;
    const keyId = await make(algorithm, "signing");
    keys.signing = { ...keys.signing, ...Object.fromEntries(open.map((each) => [each, keyId])) };
  }
}
