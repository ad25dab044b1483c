import {
  type Bytes,
  CryptoError,
  type CryptoProvider,
  type KeyResult,
  toBase64,
  toHex,
  withDeadline,
} from "@lango/crypto-core";
import type { AuditHead, AuditRow, KeyRow } from "@lango/store";
import type { VaultContext } from "../context.ts";
import { type KeyRegistry, keyUri, LOCAL, providerOf } from "../key-registry.ts";
import type { HomePaths } from "../keyslots-file.ts";
import { reached } from "../stages.ts";
import type { AnchorStatus, AuditAnchor } from "../types.ts";
import { anchorMessage, type ChainAnchor, createAnchorCheck } from "./anchor.ts";
import { appendAnchor } from "./anchor-file.ts";
import { decodeEntry } from "./entry.ts";

/** Anchors the log of a vault from time to time. Nothing waits for it but closing. */
export interface Anchorer {
  status(): AnchorStatus;
  /** Anchors what is not anchored yet, within about 2 s and a commit. Never rejects. */
  close(): Promise<void>;
}

export interface AnchorerOptions {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  readonly registry: KeyRegistry;
  /** Not the audited one: its row about the signature would be the next one to anchor. */
  readonly local: CryptoProvider;
  readonly providers: Readonly<Record<string, CryptoProvider>>;
  /** Name or URI of the key. */
  readonly key: string;
  readonly onAnchor?: ((anchor: AuditAnchor) => void | Promise<void>) | undefined;
}

const EVERY_ROWS = 256;
const EVERY_MS = 10 * 60_000;
const FIRST_RETRY_MS = 30_000;
const SIGN_MS = 10_000;
const HOOK_MS = 10_000;
const CLOSE_MS = 2_000;
/** Enough to see that only anchors, of this and other processes, came after the newest anchored row. */
const TAIL_ROWS = 16;

export const createAnchorer = (options: AnchorerOptions): Anchorer => {
  const { context, key } = options;
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let closing = false;
  let failures = 0;
  let problem: string | undefined;
  let anchored: number | undefined;
  /** The row from which 256 are counted: the newest anchor's, or the first that this process wrote. */
  let start: number | undefined;

  const attempt = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    try {
      const done = await anchorTail(options, stop.signal);
      anchored = done.signed;
      start = done.row;
      failures = 0;
      problem = undefined;
    } catch (error) {
      // Whatever it is, also an error of the caller's hook: reading and writing go on, and so does trying.
      problem = error instanceof Error ? error.message : String(error);
      failures += 1;
      // A row that came meanwhile may have set the long one.
      clearTimeout(timer);
      timer = undefined;
      wait(Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), EVERY_MS));
    }
  };
  const run = (): Promise<void> => {
    running ??= attempt().finally(() => {
      running = undefined;
    });
    return running;
  };
  const wait = (delayMs: number): void => {
    if (!closing) timer ??= setTimeout(run, delayMs).unref();
  };

  context.log.onRows((seq) => {
    start ??= seq - 1;
    if (failures === 0 && seq - start >= EVERY_ROWS && !closing) void run();
    else wait(EVERY_MS);
  });
  // The row of the unlocking is there already.
  wait(EVERY_MS);

  return {
    status: () => ({
      key,
      ...(anchored === undefined ? {} : { seq: anchored }),
      ...(problem === undefined ? {} : { problem }),
    }),
    async close() {
      closing = true;
      clearTimeout(timer);
      const message = "The vault was closed before the anchor was signed";
      const late = (): void => stop.abort(new CryptoError("ERR_TIMEOUT", message));
      const deadline = setTimeout(late, CLOSE_MS);
      // What runs now may have looked before the last rows came.
      await running;
      await run();
      clearTimeout(deadline);
    },
  };
};

interface Anchored {
  /** The row that is signed. */
  readonly signed: number;
  /** The row of the anchor. */
  readonly row: number;
}

/** Signs the newest row, unless only anchors came after one that is signed. */
const anchorTail = async (options: AnchorerOptions, signal: AbortSignal): Promise<Anchored> => {
  const { context, paths, onAnchor } = options;
  const { store, log, clock, vaultId } = context;
  const rows = await store.audit.tail(TAIL_ROWS);
  const head = rows.at(-1);
  if (!head) throw new CryptoError("ERR_INTEGRITY", "The log is empty");
  const known = newestSigned(rows);
  if (known !== undefined) return { signed: known, row: head.seq };
  const anchor = await sign(options, head, signal);
  // To the disk, and with it every row before: what is outside the database must not know more than the database does.
  const row = await log.commit("full", { action: "audit.anchor", target: anchor.uri, anchor });
  reached("anchor:committed");
  const outside: AuditAnchor = { ...anchor, vaultId: toHex(vaultId), ts: clock() };
  await appendAnchor(store, paths, outside);
  reached("anchor:written");
  if (onAnchor) await within(HOOK_MS, signal, async () => onAnchor(outside));
  return { signed: head.seq, row };
};

/** Waits for the caller's hook, but not for ever, and not when the vault is closed. */
const within = async (
  timeoutMs: number,
  stop: AbortSignal,
  run: () => Promise<void>,
): Promise<void> => {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]);
  await Promise.race([
    run(),
    new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    }),
  ]);
};

/** The newest signed row, if every row after it is an anchor. */
const newestSigned = (rows: readonly AuditRow[]): number | undefined => {
  let signed = 0;
  for (const { seq, entry } of rows.toReversed()) {
    // Looked for first: parsing is the larger part of the work.
    const anchor = entry.includes('"action":"audit.anchor"') && decodeEntry(entry)?.anchor;
    if (!anchor) return signed >= seq ? signed : undefined;
    signed = Math.max(signed, anchor.seq);
  }
  return undefined;
};

const sign = async (
  { context, registry, local, providers, key }: AnchorerOptions,
  { seq, hash }: AuditHead,
  signal: AbortSignal,
): Promise<ChainAnchor> => {
  const row = await registry.find(key);
  const uri = keyUri(row);
  const provider = withDeadline(
    row.provider === LOCAL ? local : providerOf(row.provider, providers),
    { timeoutMs: SIGN_MS },
  );
  if (row.publicKey === null || !provider.sign) {
    const message = `Key ${uri} cannot sign: it is ${row.algorithm}`;
    throw new CryptoError("ERR_KEY_USAGE", message, { context: { keyId: uri } });
  }
  const keyId = row.remoteKeyId ?? row.name;
  const message = anchorMessage(context.vaultId, seq, hash);
  const signed = await provider.sign({ keyId, message, signal });
  const anchor: ChainAnchor = {
    uri,
    keyVersion: signed.keyVersion,
    algorithm: signed.algorithm,
    seq,
    hash: toHex(hash),
    signature: toBase64(signed.signature),
    publicKey: toBase64(await publicKeyOf(provider, row, signed, signal)),
  };
  // A wrong one would stay in the log, and look like an attack for ever.
  if (createAnchorCheck(context.vaultId)(anchor)) return anchor;
  throw new CryptoError("ERR_INTERNAL", `The signature of ${uri} does not verify`);
};

/** The public key of the version that signed. */
const publicKeyOf = async (
  provider: CryptoProvider,
  row: KeyRow,
  { keyVersion }: KeyResult,
  signal: AbortSignal,
): Promise<Bytes> => {
  if (keyVersion === row.keyVersion && row.publicKey !== null) return row.publicKey;
  const keyId = row.remoteKeyId ?? row.name;
  const found = await provider.getPublicKey?.({ keyId, keyVersion, signal });
  return found?.publicKey ?? row.publicKey ?? new Uint8Array();
};
