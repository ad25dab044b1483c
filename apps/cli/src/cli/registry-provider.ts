import {
  type CryptoClient,
  CryptoError,
  type CryptoProvider,
  type KeyDescription,
  type KeyRequest,
  SIGNATURE_SCHEMES,
  type SignatureAlgorithm,
} from "@lango/crypto-core";
import type { KeyInfo } from "@lango/vault";
import { clientFor, type Keyring } from "./crypto.ts";

/**
 * The keys of a registry under the names that they have there, whoever keeps them: a provider for those who shall learn
 * neither the URIs behind the names nor of keys outside the registry. Keys that this vault itself needs are not among them:
 * the default one, those that its secrets are sealed under, and the one that anchors its log.
 *
 * @param anchor - Name or URI of the key that anchors the log; may be empty.
 */
export function registryProvider(keyring: Keyring, anchor: string): CryptoProvider {
  const { vault } = keyring;
  const local = vault.keys.provider();

  const isOwn = async ({ name, uri, type }: KeyInfo): Promise<boolean> =>
    [name, uri].includes(anchor) ||
    name === "default" ||
    // Looked for each time: a secret may have been stored a moment ago.
    (type === "encryption" && (await vault.secrets.list()).some(({ key }) => key === uri));
  const find = async (name: string): Promise<ReturnType<typeof clientFor>> => {
    const key = (await vault.keys.list()).find((each) => each.name === name);
    if (key !== undefined && !(await isOwn(key))) return clientFor(keyring, key.uri);
    throw new CryptoError("ERR_KEY_NOT_FOUND", `There is no key ${name}`);
  };
  /** Makes a call with the key behind the name, and gives the result the name. */
  const named =
    <R extends KeyRequest, T extends { readonly keyId: string }>(
      call: (client: CryptoClient, request: R) => Promise<T>,
    ) =>
    async (request: R): Promise<T> => {
      const { client, keyId } = await find(request.keyId);
      return { ...(await call(client, { ...request, keyId })), keyId: request.keyId };
    };
  const plain =
    <R extends KeyRequest, T>(call: (client: CryptoClient, request: R) => Promise<T>) =>
    async (request: R): Promise<T> => {
      const { client, keyId } = await find(request.keyId);
      return call(client, { ...request, keyId });
    };
  const describeKey = named<KeyRequest, KeyDescription>((client, request) =>
    client.describeKey(request),
  );

  return {
    name: local.name,
    capabilities: {
      ...local.capabilities,
      operations: [
        ...(["encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify", "mac"] as const),
        ...(["verifyMac", "getPublicKey", "describeKey", "listKeys", "health"] as const),
      ],
      signatureAlgorithms: Object.keys(SIGNATURE_SCHEMES) as SignatureAlgorithm[],
    },
    encrypt: named((client, request) => client.encrypt(request)),
    decrypt: plain((client, request) => client.decrypt(request)),
    wrapKey: named((client, request) => client.wrapKey(request)),
    unwrapKey: plain((client, request) => client.unwrapKey(request)),
    sign: named((client, request) => client.sign(request)),
    verify: plain((client, request) => client.verify(request)),
    mac: named((client, request) => client.mac(request)),
    verifyMac: plain((client, request) => client.verifyMac(request)),
    getPublicKey: named((client, request) => client.getPublicKey(request)),
    describeKey,
    async *listKeys({ signal }) {
      for (const key of await vault.keys.list()) {
        if (!(await isOwn(key))) yield describeKey({ keyId: key.name, signal });
      }
    },
    health: (request) => local.health(request),
    close: async () => undefined,
  };
}
