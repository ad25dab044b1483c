import { bytesEqual, CryptoError, fromHex, toHex } from "@lango/crypto-core";
import type { AuditHead, StoreReads } from "@lango/store";
import { LOCAL } from "../key-registry.ts";
import type {
  AnchorKeySource,
  AnchorReport,
  AuditAnchor,
  AuditFault,
  VerifyOptions,
} from "../types.ts";
import { type ChainAnchor, canonicalSpki, createAnchorCheck } from "./anchor.ts";
import type { OutsideAnchors } from "./anchor-file.ts";

/** Compares the anchors of the chain, and those outside it, with the chain. */
export interface AnchorReview {
  /** An anchor that the chain holds. Call {@link check} before the next page. */
  found(row: number, anchor: ChainAnchor): void;
  /** Compares those found since with the rows that they sign. */
  check(store: Pick<StoreReads, "audit">): Promise<void>;
  report(store: Pick<StoreReads, "audit">, head: AuditHead): Promise<AnchorVerdict>;
}

export interface AnchorVerdict {
  readonly anchors: AnchorReport;
  readonly unanchored: number;
  readonly faults: readonly AuditFault[];
}

export interface AnchorReviewOptions {
  readonly vaultId: Uint8Array;
  readonly outside: OutsideAnchors;
  readonly options: VerifyOptions;
  /** Base64 of the SPKIs in the registry, where those can be trusted. */
  readonly registryKeys: ReadonlySet<string>;
  /** Why the last attempt failed. */
  readonly problem?: string | undefined;
}

export const createAnchorReview = (review: AnchorReviewOptions): AnchorReview => {
  const { vaultId, registryKeys, options, problem } = review;
  const verifies = createAnchorCheck(vaultId);
  const given = givenKeys(options.anchorKeys);
  const outside = distinct([...review.outside.anchors, ...(options.anchors ?? [])]);
  /** Signatures outside that the chain has not shown yet. */
  const missing = new Map(outside.map((anchor) => [anchor.signature, anchor]));
  const checkedWith: Record<AnchorKeySource, number> = { given: 0, registry: 0, anchor: 0 };
  const faults: AuditFault[] = [];
  const anchorRows: number[] = [];
  let waiting: { readonly row: number; readonly anchor: ChainAnchor }[] = [];
  let last: AnchorReport["last"];

  const sourceOf = ({ publicKey }: ChainAnchor): AnchorKeySource => {
    if (given?.has(publicKey)) return "given";
    return registryKeys.has(publicKey) ? "registry" : "anchor";
  };

  const checkOne = async (
    store: Pick<StoreReads, "audit">,
    row: number,
    anchor: ChainAnchor,
  ): Promise<void> => {
    const { seq, hash, signature, uri } = anchor;
    missing.delete(signature);
    if (!verifies(anchor)) {
      faults.push({
        seq: row,
        problem: `The signature of the anchor in row ${row} does not verify`,
      });
      return;
    }
    if (seq >= row || !(await fits(store, seq, hash))) {
      faults.push({
        seq,
        problem: `Row ${seq} is not the one that the anchor in row ${row} signs`,
      });
      return;
    }
    const key = sourceOf(anchor);
    checkedWith[key] += 1;
    if (given && key !== "given") return;
    if (!last || seq >= last.seq) last = { seq, uri, key };
  };

  const missingFault = async (
    store: Pick<StoreReads, "audit">,
    head: AuditHead,
    anchor: AuditAnchor,
  ): Promise<AuditFault> => {
    const { seq, hash } = anchor;
    const what = `An anchor of row ${seq} that is kept outside the database`;
    if (anchor.vaultId !== toHex(vaultId)) return { seq, problem: `${what} is of another vault` };
    if (!verifies(anchor)) return { seq, problem: `${what} has a signature that does not verify` };
    const by = `by ${anchor.uri}, checked with the public key ${SOURCES[sourceOf(anchor)]}`;
    if (seq > head.seq) {
      return { seq, problem: `Rows ${head.seq + 1} to ${seq} were cut off: ${what} (${by})` };
    }
    if (!(await fits(store, seq, hash))) {
      return { seq, problem: `Row ${seq} was replaced: ${what} signs another one (${by})` };
    }
    return {
      seq,
      problem: `Rows after ${seq} were cut off or replaced: ${what} is not in the log (${by})`,
    };
  };

  return {
    found(row, anchor) {
      anchorRows.push(row);
      waiting.push({ row, anchor });
    },
    async check(store) {
      for (const { row, anchor } of waiting) await checkOne(store, row, anchor);
      waiting = [];
    },
    async report(store, head) {
      for (const anchor of missing.values()) faults.push(await missingFault(store, head, anchor));
      const signed = last?.seq ?? 0;
      const unanchored = head.seq - signed - anchorRows.filter((row) => row > signed).length;
      return {
        unanchored,
        faults,
        anchors: {
          checkedWith,
          outside: outside.length,
          unreadable: review.outside.unreadable,
          ...(last ? { last } : {}),
          remarks: remarksOn(last, checkedWith, given !== undefined),
          ...(problem === undefined ? {} : { problem }),
        },
      };
    },
  };
};

const givenKeys = (keys: readonly Uint8Array[] | undefined): ReadonlySet<string> | undefined =>
  keys &&
  new Set(
    keys.map((spki) => {
      const known = canonicalSpki(spki);
      if (known !== undefined) return known;
      throw new CryptoError(
        "ERR_INVALID_ARGUMENT",
        "An anchor key is no SubjectPublicKeyInfo (DER)",
      );
    }),
  );

const distinct = (anchors: readonly AuditAnchor[]): AuditAnchor[] => [
  ...new Map(anchors.map((anchor) => [anchor.signature, anchor])).values(),
];

const fits = async (
  store: Pick<StoreReads, "audit">,
  seq: number,
  hash: string,
): Promise<boolean> => {
  const [row] = await store.audit.page(seq, 1);
  return row?.seq === seq && bytesEqual(row.hash, fromHex(hash) ?? new Uint8Array());
};

const SOURCES: Readonly<Record<AnchorKeySource, string>> = {
  given: "that was given",
  registry: "of the vault's registry",
  anchor: "that it names itself",
};

const remarksOn = (
  last: AnchorReport["last"],
  checkedWith: Readonly<Record<AnchorKeySource, number>>,
  hasGiven: boolean,
): string[] => {
  const remarks: string[] = [];
  if (last?.uri.startsWith(`${LOCAL}:`)) {
    remarks.push("An anchor by a local key proves nothing against a holder of the vault");
  }
  if (last?.key === "anchor") {
    remarks.push(
      "The newest anchor was checked with the public key that it names itself, which proves nothing about who signed: give the key",
    );
  }
  const others = checkedWith.registry + checkedWith.anchor;
  if (hasGiven && others > 0) {
    remarks.push(`${others} anchors are by other keys than those that were given and do not count`);
  }
  return remarks;
};
