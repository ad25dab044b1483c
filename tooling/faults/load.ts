import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type CryptoProvider, formatKeyUri, toHex } from "@lango/crypto-core";
import {
  createDataKey,
  createDataKeyCache,
  newDataKeyId,
  openValue,
  sealValue,
} from "@lango/envelope";
import { createVault, openVault, type Vault } from "@lango/vault";

/** How many times a service was asked, by what it was asked for. */
export interface Calls {
  readonly cold: number;
  readonly warm: number;
}

/** A provider over a real service, a key of it, and how many requests for its use have reached the service until now. */
export interface CountedProvider {
  readonly provider: CryptoProvider;
  readonly keyId: string;
  readonly requests: () => number;
}

const NAME = "load/secret";

/** Opens one sealed value `opens` times at once, its data key wrapped by the provider and in no cache; then again. */
export async function openAtOnce(counted: CountedProvider, opens: number): Promise<Calls> {
  const { provider, keyId, requests } = counted;
  assert.ok(provider.wrapKey !== undefined && provider.unwrapKey !== undefined);
  const { unwrapKey } = provider;
  const id = newDataKeyId();
  const material = new Uint8Array(randomBytes(32));
  const { wrappedKey, keyVersion } = await provider.wrapKey({ keyId, key: material });
  const key = createDataKey(material, id);
  const sealed = sealValue(key, new Uint8Array(64), new Uint8Array());
  const cache = createDataKeyCache({
    maxAgeMs: 60_000,
    maxMessages: 1_000_000,
    maxBytes: 2 ** 30,
    maxEntries: 10,
    load: async (_partition, _id, signal) =>
      createDataKey(await unwrapKey({ keyId, wrappedKey, keyVersion, signal }), id),
  });
  const openOnce = async () => {
    const dataKey = await cache.get("load", toHex(id), { bytes: sealed.length });
    assert.equal(openValue(dataKey, sealed, new Uint8Array()).length, 64);
  };
  const openAll = () => countOf(requests, () => all(opens, openOnce));
  try {
    return { cold: await openAll(), warm: await openAll() };
  } finally {
    key.destroy();
    cache.close();
  }
}

/** Reads one secret of a vault that was just opened `reads` times at once, then again. */
export async function readAtOnce(counted: CountedProvider, reads: number): Promise<Calls> {
  return await withVault(counted, async (vault, reopen) => {
    await vault.secrets.set(NAME, new Uint8Array(64));
    const opened = await reopen();
    const readAll = () =>
      countOf(counted.requests, () => all(reads, () => opened.secrets.get(NAME)));
    return { cold: await readAll(), warm: await readAll() };
  });
}

/** Stores `values` secrets in a vault that was just opened, then as many again. */
export async function sealMany(counted: CountedProvider, values: number): Promise<Calls> {
  return await withVault(counted, async (_vault, reopen) => {
    const vault = await reopen();
    const sealAll = (folder: string) =>
      countOf(counted.requests, async () => {
        for (let i = 0; i < values; i++)
          await vault.secrets.set(`load/${folder}-${i}`, new Uint8Array(64));
      });
    return { cold: await sealAll("cold"), warm: await sealAll("warm") };
  });
}

const all = (count: number, work: () => Promise<unknown>): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, work));

async function countOf(requests: () => number, work: () => Promise<unknown>): Promise<number> {
  const before = requests();
  await work();
  return requests() - before;
}

/** A new vault whose data keys the provider wraps. `reopen` gives it anew, with nothing in its caches. */
async function withVault<T>(
  { provider, keyId }: CountedProvider,
  work: (vault: Vault, reopen: () => Promise<Vault>) => Promise<T>,
): Promise<T> {
  const home = mkdtempSync(path.join(tmpdir(), "lango-load-"));
  const secret = () => new TextEncoder().encode("a passphrase for the load test");
  let vault: Vault | undefined;
  try {
    vault = await createVault({
      home,
      credentials: [{ kind: "passphrase", passphrase: secret() }],
      defaultKey: { uri: formatKeyUri(provider.name, keyId), provider },
    });
    const reopen = async (): Promise<Vault> => {
      await vault?.close();
      vault = await openVault({
        home,
        providers: { [provider.name]: provider },
        unlock: async (slots) => ({
          credential: {
            kind: "passphrase",
            source: "load",
            secret: secret(),
            ambient: false,
            slotIds: slots.map(({ id }) => id),
          },
          skipped: [],
        }),
      });
      return vault;
    };
    return await work(vault, reopen);
  } finally {
    await vault?.close();
    rmSync(home, { recursive: true, force: true });
  }
}
