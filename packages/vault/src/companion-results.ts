import type { KeyObject } from "node:crypto";
import {
  type Bytes,
  CryptoError,
  createAesKey,
  fillRandomFresh,
  isCryptoError,
  NONCE_BYTES,
  openAesGcm,
  sealAesGcmInto,
  TAG_BYTES,
  toPlain,
  utf8,
  zero,
} from "@lango/crypto-core";
import { hkdf, parts } from "@lango/envelope";
import type { CompanionResultRow } from "@lango/store";
import type { CompanionResults } from "./companion-types.ts";
import type { VaultContext } from "./context.ts";
import type { Gate } from "./gate.ts";

const KEPT_MS = 86_400_000;
const MAX_RESULT_BYTES = 1024 * 1024;
const MAX_ID_BYTES = 256;
/** Bounds the time that one transaction takes. */
const MAX_PER_COMMIT = 256;
const LABEL = utf8("lango/v1/companion-result");

interface Waiting {
  readonly row: CompanionResultRow;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Results of requests of paired devices. A commit to the disk takes longer than a signature, so that calls share one. */
export const createCompanionResults = (
  context: Pick<VaultContext, "store" | "keys" | "vaultId" | "clock" | "log">,
  gate: Gate,
): CompanionResults => {
  const { store, clock, log } = context;
  let waiting: Waiting[] = [];
  let writing = false;

  /** Writes what waits until nothing does; what comes during a commit goes into the next. */
  const write = async (): Promise<void> => {
    writing = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_PER_COMMIT);
      waiting = waiting.slice(MAX_PER_COMMIT);
      try {
        const fresh = await store.transaction("full", async (tx) => {
          await log.checkCurrent(tx);
          await tx.companions.pruneResults(clock() - KEPT_MS);
          const inserted: boolean[] = [];
          for (const { row } of batch) inserted.push(await tx.companions.insertResult(row));
          return inserted;
        });
        batch.forEach(({ resolve, reject, row }, index) => {
          if (fresh[index]) resolve();
          else reject(answered(row));
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    writing = false;
  };

  return {
    find: (peerId, id) =>
      gate.run(async () => {
        const row = await store.companions.findResult(peerId, id);
        return row && { hash: row.hash, result: open(context, row) };
      }),
    put: (peerId, id, hash, result) =>
      gate.run(async () => {
        check(peerId, id, result);
        const columns = { peerId, requestId: id, hash: toPlain(hash), createdAt: clock() };
        const row = { ...columns, sealed: seal(context, columns, result) };
        await new Promise<void>((resolve, reject) => {
          waiting.push({ row, resolve, reject });
          // The rest of this tick joins: the first commit then has more than one row.
          if (!writing) queueMicrotask(() => void (writing || write()));
        });
      }),
  };
};

type Keyed = Pick<CompanionResultRow, "peerId" | "requestId" | "hash">;

/**
 * Nonce 12 ‖ AES-256-GCM ‖ tag 16, under a key of the row's own: HKDF(rows key, no salt, parts(`lango/v1/companion-result`,
 * vault id, peer, request)), with the hash as AAD. A shared key would run into the limit of random nonces (SP 800-38D §8.3).
 */
const seal = (
  context: Pick<VaultContext, "keys" | "vaultId">,
  row: Keyed,
  result: Uint8Array,
): Bytes => {
  const out = new Uint8Array(NONCE_BYTES + result.length + TAG_BYTES);
  fillRandomFresh(out, 0, NONCE_BYTES);
  sealAesGcmInto(
    keyOf(context.vaultId, context.keys.rows.current, row),
    out.subarray(0, NONCE_BYTES),
    row.hash,
    result,
    out,
    NONCE_BYTES,
  );
  return out;
};

const open = (
  { keys, vaultId }: Pick<VaultContext, "keys" | "vaultId">,
  row: CompanionResultRow,
): Bytes => {
  const { current, former } = keys.rows;
  const openUnder = (rowsKey: KeyObject): Bytes => {
    const nonce = row.sealed.subarray(0, NONCE_BYTES);
    const key = keyOf(vaultId, rowsKey, row);
    return openAesGcm(key, nonce, row.hash, row.sealed.subarray(NONCE_BYTES));
  };
  try {
    try {
      return openUnder(current);
    } catch (error) {
      if (!isCryptoError(error) || !former) throw error;
      return openUnder(former);
    }
  } catch (cause) {
    if (!isCryptoError(cause)) throw cause;
    const message = `The result of request ${row.requestId} was changed outside lango`;
    throw new CryptoError("ERR_INTEGRITY", message, { cause });
  }
};

const keyOf = (
  vaultId: Uint8Array,
  rowsKey: KeyObject,
  { peerId, requestId }: Keyed,
): KeyObject => {
  const info = parts(LABEL, vaultId, utf8(peerId), utf8(requestId));
  const bytes = hkdf(rowsKey, new Uint8Array(), info);
  try {
    return createAesKey(bytes);
  } finally {
    zero(bytes);
  }
};

/** Follows from a result that another process, or another call, has put first. */
const answered = ({ requestId }: CompanionResultRow): CryptoError =>
  new CryptoError("ERR_CONFLICT", `Request ${requestId} has a result already`);

const check = (peerId: string, id: string, result: Uint8Array): void => {
  if (utf8(peerId).length > MAX_ID_BYTES || utf8(id).length > MAX_ID_BYTES) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `An id has more than ${MAX_ID_BYTES} bytes`);
  }
  if (result.length > MAX_RESULT_BYTES) {
    const message = `A result has ${result.length} bytes, more than ${MAX_RESULT_BYTES}`;
    throw new CryptoError("ERR_INVALID_ARGUMENT", message);
  }
};
