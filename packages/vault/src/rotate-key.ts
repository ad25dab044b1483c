import {
  type Bytes,
  CryptoError,
  type CryptoProvider,
  type KeyDescription,
  type KeyUsage,
} from "@lango/crypto-core";
import type { KeyRow } from "@lango/store";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import { type KeyRegistry, keyInfo, keyUri, LOCAL, providerOf } from "./key-registry.ts";
import type { KeyInfo } from "./key-types.ts";
import { checkRow, withMac } from "./rows.ts";

export interface RotateKeyOptions {
  readonly context: VaultContext;
  readonly registry: KeyRegistry;
  /** The local keys, audited. */
  readonly local: CryptoProvider;
  readonly providers: Readonly<Record<string, CryptoProvider>>;
}

/** Makes a new version of a key, at whoever holds it, and notes it in the registry. */
export const rotateKey = async (
  { context, registry, local, providers }: RotateKeyOptions,
  nameOrUri: string,
): Promise<KeyInfo> => {
  const row = await registry.find(nameOrUri);
  if (row.provider === LOCAL) {
    await rotateAt(local, row.name);
  } else {
    const target = keyUri(row);
    try {
      await rotateRemote(context, providerOf(row.provider, providers), row);
    } catch (error) {
      await auditFailure(context.log, { action: "key.rotate", target }, error);
      throw error;
    }
  }
  return keyInfo(await registry.findById(row.id));
};

const rotateRemote = async (
  { store, keys, log }: VaultContext,
  provider: CryptoProvider,
  rotated: KeyRow,
): Promise<void> => {
  const keyId = rotated.remoteKeyId ?? rotated.name;
  const { keyVersion, usage } = await rotateAt(provider, keyId);
  const publicKey = await publicKeyAt(provider, keyId, usage);
  await store.transaction("full", async (tx) => {
    const before = await tx.keys.find(rotated.id);
    // Put under another key meanwhile: what was rotated is not in the registry any more.
    if (!before || keyUri(before) !== keyUri(rotated)) return;
    checkRow(keys.rows, "keys", before);
    const row = withMac(keys.rows, "keys", { ...before, keyVersion, publicKey });
    await tx.keys.update(row, before.mac);
    const rows = [changeOf("keys", row)];
    await log.appendIn(tx, { action: "key.rotate", target: keyUri(row), rows });
  });
};

const rotateAt = async (provider: CryptoProvider, keyId: string): Promise<KeyDescription> => {
  if (provider.rotateKey) return provider.rotateKey({ keyId });
  throw new CryptoError("ERR_UNSUPPORTED", `Provider ${provider.name} rotates no keys`, {
    context: { provider: provider.name, operation: "rotateKey", keyId },
  });
};

/** DER SubjectPublicKeyInfo of a signing key; `null` for others, and where the provider shows none. */
export const publicKeyAt = async (
  provider: CryptoProvider,
  keyId: string,
  usage: KeyUsage,
): Promise<Bytes | null> => {
  if (usage !== "signing" || !provider.getPublicKey) return null;
  return (await provider.getPublicKey({ keyId })).publicKey;
};
