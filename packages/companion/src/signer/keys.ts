import { type CryptoClient, CryptoError, type KeyDescription } from "@lango/crypto-core";
import type { IncomingRequest } from "../channel/types.ts";
import type { Peer } from "../peers.ts";
import type { Result } from "../protocol/methods.ts";
import type { CheckedPolicy } from "./policy.ts";

/** What a page holds: room for it in a frame of 256 KiB. */
const PAGE_KEYS = 256;
const PAGE_BYTES = 131_072;
/** A longer id cannot be named in a request. */
const MAX_ID = 512;

export type ListKeys = IncomingRequest<"listKeys">;

/** The keys that the device sees, by id: one, or a page of all. */
export const listKeys = async (
  keys: CryptoClient,
  policy: CheckedPolicy,
  { peer, params, signal }: Pick<ListKeys, "peer" | "params" | "signal">,
): Promise<Result<"listKeys">> => {
  const { keyId, cursor } = params;
  if (keyId !== undefined) return { keys: [plain(await keys.describeKey({ keyId, signal }))] };
  const all = await seenKeys(keys, policy, peer, signal);
  const rest = cursor === undefined ? all : all.filter((key) => key.keyId > cursor);
  const page: KeyDescription[] = [];
  let bytes = 0;
  for (const key of rest) {
    bytes += Buffer.byteLength(JSON.stringify(key));
    if (page.length === PAGE_KEYS || bytes > PAGE_BYTES) break;
    page.push(key);
  }
  return rest.length > page.length ? { keys: page, cursor: page.at(-1)?.keyId } : { keys: page };
};

/** Every key that the device sees, in the order of their ids. */
export const seenKeys = async (
  keys: CryptoClient,
  policy: CheckedPolicy,
  peer: Peer,
  signal: AbortSignal,
): Promise<KeyDescription[]> => {
  const seen: KeyDescription[] = [];
  for await (const key of keys.listKeys({ signal })) {
    if (key.keyId.length <= MAX_ID && policy.sees(peer, key.keyId)) seen.push(plain(key));
  }
  return seen.sort((a, b) => (a.keyId < b.keyId ? -1 : 1));
};

/** What goes over the wire: a provider may tell more. */
const plain = (key: KeyDescription): KeyDescription => ({
  keyId: key.keyId,
  keyVersion: key.keyVersion,
  algorithm: key.algorithm,
  usage: key.usage,
  state: key.state,
  protection: key.protection,
  createdAt: key.createdAt,
});

/** Names that are known to be a provider's own. */
const MAX_NAMES = 1024;

/**
 * Makes a check that a key was named as its provider names it: by an alias, an ARN or another URI of the same key a device would
 * pass by what the policy says of it.
 *
 * @returns Rejects with `ERR_KEY_NOT_FOUND` for another name. `isSure` also sees that the key is still there.
 */
export const createNameCheck = (
  keys: CryptoClient,
): ((keyId: string, signal: AbortSignal, isSure: boolean) => Promise<void>) => {
  const own = new Set<string>();
  return async (keyId, signal, isSure) => {
    if (own.has(keyId) && !isSure) return;
    const found = await keys.describeKey({ keyId, signal });
    if (found.keyId !== keyId) throw notThere(keyId);
    if (own.size >= MAX_NAMES) own.clear();
    own.add(keyId);
  };
};

/** @throws {@link CryptoError} `ERR_KEY_NOT_FOUND`, as for a key that is not there. */
export const checkSees = (policy: CheckedPolicy, peer: Peer, keyId: string): void => {
  if (policy.sees(peer, keyId)) return;
  throw notThere(keyId);
};

const notThere = (keyId: string): CryptoError =>
  new CryptoError("ERR_KEY_NOT_FOUND", `Key ${keyId} is not there for this device`, {
    context: { keyId },
  });
