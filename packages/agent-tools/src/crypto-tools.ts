import { createHash } from "node:crypto";
import { decryptionFailed, isCryptoError, toBase64, toHex, zero } from "@lango/crypto-core";
import { open, seal } from "@lango/envelope";
import { formatReference } from "@lango/guard";
import { decodeText, ENCODING, type Encoding, encodeText } from "./encoding.ts";
import type { AgentKeys } from "./keys.ts";
import type { VaultReferences } from "./references.ts";
import type { ToolSpec } from "./spec.ts";

export interface CryptoToolsOptions {
  readonly keys: AgentKeys;
  readonly references: Pick<VaultReferences, "keep">;
}

const MAX_CHARACTERS = 1_500_000;
const DATA = { type: "string", description: "The data", maxLength: MAX_CHARACTERS } as const;
const KEY_ID = {
  type: "string",
  description: "Name or URI of the key; left out: the key default. crypto.keys lists the keys",
  minLength: 1,
  maxLength: 2048,
} as const;
const HASHES = ["sha256", "sha384", "sha512"] as const;
const READS = { readOnlyHint: true, openWorldHint: false } as const;

export const cryptoTools = (options: CryptoToolsOptions): readonly ToolSpec[] => [
  encryptTool(options),
  decryptTool(options),
  signTool(options),
  verifyTool(options),
  hashTool(),
  keysTool(options),
];

const encryptTool = ({ keys }: CryptoToolsOptions): ToolSpec => ({
  name: "crypto.encrypt",
  description: "Encrypts data under a key and returns the ciphertext in base64.",
  safety: "moderate",
  annotations: { title: "Encrypt", ...READS },
  parameters: {
    required: ["data"],
    properties: { data: DATA, keyId: KEY_ID, encoding: ENCODING },
  },
  withheld: ["data"],
  async run({ data, keyId, encoding }, { signal }) {
    const plaintext = decodeText(String(data), "data", encoding as Encoding | undefined);
    try {
      const key = await keys.find(keyId as string | undefined, "encryption");
      const recipients = [{ uri: key.uri, provider: key.client, keyId: key.keyId }];
      return {
        ciphertext: toBase64(await seal({ plaintext, recipients, signal })),
        keyId: key.uri,
      };
    } finally {
      zero(plaintext);
    }
  },
});

const decryptTool = ({ keys, references }: CryptoToolsOptions): ToolSpec => ({
  name: "crypto.decrypt",
  description:
    "Decrypts what crypto.encrypt made. Returns a reference to the plaintext, to be written where a tool takes secrets; with output plaintext, " +
    "for which a person has to approve, the plaintext itself.",
  safety: "moderate",
  annotations: { title: "Decrypt", ...READS },
  parameters: {
    required: ["data"],
    properties: {
      data: { ...DATA, description: "The ciphertext in base64" },
      keyId: {
        ...KEY_ID,
        description: "The only key to use; left out: the one named in the ciphertext",
      },
      output: {
        type: "string",
        description: "What to return: reference or plaintext",
        enum: ["reference", "plaintext"],
        default: "reference",
      },
      encoding: { ...ENCODING, description: "How a plaintext is written: utf8 or base64" },
    },
  },
  withheld: ["data"],
  exact: false,
  approval: ({ output }) => (output === "plaintext" ? { safety: "dangerous", required: true } : {}),
  async run({ data, keyId, output, encoding }, { session, signal }) {
    const sealed = decodeText(String(data), "data", "base64");
    const only =
      keyId === undefined ? undefined : (await keys.find(String(keyId), "encryption")).uri;
    const plaintext = await opened(keys, sealed, only, signal);
    if (output !== "plaintext") {
      // The guard learns it when a tool gets it, which takes an approval: a scanner that knew all that was ever decrypted
      // would grow without end.
      const id = references.keep(session, plaintext);
      return { reference: formatReference({ kind: "decrypt", id }) };
    }
    try {
      return { plaintext: encodeText(plaintext, encoding as Encoding | undefined) };
    } finally {
      zero(plaintext);
    }
  },
});

/** A message for other keys than those that may be used is a wrong key, whether the header shows it or the cipher. */
const opened = async (
  keys: AgentKeys,
  sealed: Uint8Array,
  only: string | undefined,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> => {
  try {
    return await open({
      sealed,
      resolve: async (uri) =>
        only === undefined || uri === only ? await toRecipient(keys, uri) : undefined,
      signal,
    });
  } catch (error) {
    const isForOthers =
      isCryptoError(error) &&
      error.code === "ERR_KEY_NOT_FOUND" &&
      error.context.operation === "open";
    throw isForOthers ? decryptionFailed() : error;
  }
};

const toRecipient = async (keys: AgentKeys, uri: string) => {
  const found = await keys.resolve(uri);
  return found && { provider: found.client, keyId: found.keyId };
};

const signTool = ({ keys }: CryptoToolsOptions): ToolSpec => ({
  name: "crypto.sign",
  description:
    "Signs data with a signing key, or computes its mac with an HMAC key. Returns the signature in base64; of ECDSA it is r and s, of 32 or 48 bytes each.",
  safety: "dangerous",
  annotations: { title: "Sign", ...READS },
  parameters: {
    required: ["data"],
    properties: { data: DATA, keyId: KEY_ID, encoding: ENCODING },
  },
  async run({ data, keyId, encoding }, { signal }) {
    const message = decodeText(String(data), "data", encoding as Encoding | undefined);
    const key = await keys.find(keyId as string | undefined, "signing");
    const request = { keyId: key.keyId, message, signal };
    if (key.algorithm.startsWith("hmac-")) {
      const { mac, algorithm, keyVersion } = await key.client.mac(request);
      return { signature: toBase64(mac), kind: "mac", algorithm, keyId: key.uri, keyVersion };
    }
    const { signature, algorithm, keyVersion } = await key.client.sign(request);
    return {
      signature: toBase64(signature),
      ...{ kind: "signature", algorithm, keyId: key.uri, keyVersion },
    };
  },
});

const verifyTool = ({ keys }: CryptoToolsOptions): ToolSpec => ({
  name: "crypto.verify",
  description: "Tells whether a signature or mac of crypto.sign fits the data and the key.",
  safety: "safe",
  annotations: { title: "Verify a signature", ...READS },
  parameters: {
    required: ["data", "signature"],
    properties: {
      data: DATA,
      signature: {
        type: "string",
        description: "The signature or mac in base64",
        maxLength: 4096,
      },
      keyId: KEY_ID,
      encoding: ENCODING,
    },
  },
  async run({ data, signature, keyId, encoding }, { signal }) {
    const message = decodeText(String(data), "data", encoding as Encoding | undefined);
    const given = decodeText(String(signature), "signature", "base64");
    const key = await keys.find(keyId as string | undefined, "signing");
    const request = { keyId: key.keyId, message, signal };
    const isMac = key.algorithm.startsWith("hmac-");
    const valid = isMac
      ? await key.client.verifyMac({ ...request, mac: given })
      : await key.client.verify({ ...request, signature: given });
    return { valid, keyId: key.uri };
  },
});

const hashTool = (): ToolSpec => ({
  name: "crypto.hash",
  description: "Returns the hash of data in hexadecimal.",
  safety: "safe",
  annotations: { title: "Hash", ...READS, idempotentHint: true },
  parameters: {
    required: ["data"],
    properties: {
      data: DATA,
      algorithm: {
        type: "string",
        description: `${HASHES.join(", ")}; left out: sha256`,
        enum: [...HASHES],
        default: "sha256",
      },
      encoding: ENCODING,
    },
  },
  async run({ data, algorithm = "sha256", encoding }) {
    const bytes = decodeText(String(data), "data", encoding as Encoding | undefined);
    const hash = toHex(createHash(String(algorithm)).update(bytes).digest());
    return { hash, algorithm };
  },
});

const keysTool = ({ keys }: CryptoToolsOptions): ToolSpec => ({
  name: "crypto.keys",
  description: "Lists the keys that can be named as keyId.",
  safety: "safe",
  annotations: { title: "List keys", ...READS },
  parameters: { required: [], properties: {} },
  async run() {
    const list = (await keys.list()).map(({ name, uri, type, algorithm, state, createdAt }) => ({
      ...{ keyId: uri, name, type, algorithm, state },
      createdAt: new Date(createdAt).toISOString(),
    }));
    return { keys: list, count: list.length };
  },
});
