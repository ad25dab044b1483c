import { createHmac, type KeyObject } from "node:crypto";
import { type JsonValue, jcs, parts } from "@lango/envelope";
import type { StoreReads } from "@lango/store";
import { readPolicy } from "./approvals/policies.ts";
import { canSpool } from "./audit/log.ts";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import type { Gate } from "./gate.ts";
import { withMac } from "./rows.ts";

/** A key or token that the environment gives. */
export interface ConfiguredValue {
  /** `ADMIN_TOKEN`, `ENCRYPTION_KEY`, … */
  readonly name: string;
  /** Not changed and not kept: what is kept is an HMAC of it under a key of the vault. */
  readonly secret: Uint8Array;
}
/** What is known of one of them. */
export interface ConfiguredSince {
  readonly name: string;
  /** Milliseconds since the epoch: when its present value was first seen. */
  readonly since: number;
}

/** Since when each key and token that the environment gives has been what it is. */
export interface Fingerprints {
  /**
   * Compares values with those of before. What is new or has changed is noted, and in the log by its name. What is not given
   * is left alone: other commands may be given more.
   *
   * @returns The names of those that have changed.
   */
  note(values: readonly ConfiguredValue[]): Promise<readonly string[]>;
  list(): Promise<readonly ConfiguredSince[]>;
}

const SUBJECT = "boot/fingerprints";

/** The row's content. */
interface Known {
  /** Of the key: after `rotate --compromised` it is another one, with which nothing can be compared. */
  readonly key: string;
  readonly values: Readonly<
    Record<string, { readonly fingerprint: string; readonly since: number }>
  >;
}

export const createFingerprints = (context: VaultContext, gate: Gate): Fingerprints => {
  const { store, keys, log, clock } = context;

  const noteIn = (values: readonly ConfiguredValue[]): Promise<readonly string[]> =>
    store.transaction("full", async (tx) => {
      const { known, changed, added } = compare(
        await read(tx, keys),
        values,
        keys.rows.current,
        clock(),
      );
      const content = jcs(known as unknown as JsonValue);
      const row = withMac(keys.rows, "policies", { subject: SUBJECT, content, updatedAt: clock() });
      await tx.policies.put(row);
      const rows = [changeOf("policies", row)];
      const entries = [
        ...changed.map((target) => ({ action: "configured.change", target })),
        ...added.map((target) => ({ action: "configured.first-seen", target })),
      ];
      const [last = { action: "configured.compare" }, ...before] = entries.reverse();
      await log.appendIn(tx, ...before, { ...last, rows });
      return changed;
    });

  return {
    note: (values) =>
      gate.run(async () => {
        const { isSame } = compare(await read(store, keys), values, keys.rows.current, clock());
        if (isSame) return [];
        try {
          return await noteIn(values);
        } catch (error) {
          // The command goes on without it: the next one compares again.
          if (canSpool(error)) return [];
          throw error;
        }
      }),
    list: () =>
      gate.run(async () =>
        Object.entries((await read(store, keys))?.values ?? {}).map(([name, { since }]) => ({
          name,
          since,
        })),
      ),
  };
};

const read = (
  store: Pick<StoreReads, "policies">,
  keys: VaultContext["keys"],
): Promise<Known | undefined> => readPolicy<Known>({ store, keys }, SUBJECT);

const compare = (
  before: Known | undefined,
  values: readonly ConfiguredValue[],
  rowsKey: KeyObject,
  now: number,
): { known: Known; changed: string[]; added: string[]; isSame: boolean } => {
  const key = fingerprintOf(rowsKey, "", new Uint8Array());
  const comparable = before?.key === key;
  // What is not given now is not of this key either: it is compared with nothing until it has been seen again.
  const next = comparable ? { ...before.values } : withoutFingerprints(before);
  const changed: string[] = [];
  const added: string[] = [];
  for (const { name, secret } of values) {
    const fingerprint = fingerprintOf(rowsKey, name, secret);
    const old = before?.values[name];
    if (old?.fingerprint === fingerprint) continue;
    if (old === undefined) added.push(name);
    const isKnown = comparable && old !== undefined && old.fingerprint !== "";
    if (isKnown) changed.push(name);
    next[name] = { fingerprint, since: isKnown ? now : (old?.since ?? now) };
  }
  const isSame = values.every(({ name }) => next[name] === before?.values[name]);
  return { known: { key, values: next }, changed, added, isSame };
};

const withoutFingerprints = (before: Known | undefined): Record<string, Known["values"][string]> =>
  Object.fromEntries(
    Object.entries(before?.values ?? {}).map(([name, { since }]) => [
      name,
      { fingerprint: "", since },
    ]),
  );

/** 128 bits of HMAC-SHA-256(rows key, parts(…)), in hex; no table is called like its first part. */
const fingerprintOf = (rowsKey: KeyObject, name: string, secret: Uint8Array): string =>
  createHmac("sha256", rowsKey)
    .update(parts("lango/v1/configured", name, secret))
    .digest("hex")
    .slice(0, 32);
