import type { Bytes } from "@lango/crypto-core";
import type { RowsKeys, SentDataKey } from "@lango/envelope";
import type { SealedVersion, VersionOfSecret } from "@lango/store";

// What rotation-thread.ts and rotation-worker.ts say to each other.

/** Keys go by reference; the byte strings of the rows in one piece, since each would cost more than the rest of its row. */
export type Request =
  | {
      readonly kind: "reseal";
      readonly vaultId: Bytes;
      readonly rowsKeys: RowsKeys;
      readonly from: SentDataKey;
      readonly to: SentDataKey;
      readonly versions: Packed<VersionOfSecret>;
    }
  | {
      readonly kind: "open";
      readonly vaultId: Bytes;
      readonly dataKeys: ReadonlyMap<string, SentDataKey>;
      readonly versions: Packed<SealedVersion>;
    };

/** `undefined`: it failed, and the thread that asked finds out why by doing it itself. */
export type Reply =
  | { readonly sealed: Bytes; readonly hashes: readonly string[] }
  | "opened"
  | undefined;

type Lengths<Row> = { readonly [K in keyof Row]: Row[K] extends Bytes ? number : Row[K] };

/** Rows whose byte strings are in `bytes`, one after the other; in their place stands their length. */
export interface Packed<Row> {
  readonly rows: readonly Lengths<Row>[];
  readonly bytes: Bytes;
}

export const packKept = (versions: readonly VersionOfSecret[]): Packed<VersionOfSecret> => ({
  rows: versions.map((row) => ({ ...row, mac: row.mac.length, sealed: row.sealed.length })),
  bytes: joined(versions.flatMap(({ mac, sealed }) => [mac, sealed])),
});

export const unpackKept = ({ rows, bytes }: Packed<VersionOfSecret>): VersionOfSecret[] => {
  const next = cutting(bytes);
  return rows.map((row) => ({ ...row, mac: next(row.mac), sealed: next(row.sealed) }));
};

export const packSealed = (versions: readonly SealedVersion[]): Packed<SealedVersion> => ({
  rows: versions.map((row) => ({ ...row, sealed: row.sealed.length })),
  bytes: joined(versions.map(({ sealed }) => sealed)),
});

export const unpackSealed = ({ rows, bytes }: Packed<SealedVersion>): SealedVersion[] => {
  const next = cutting(bytes);
  return rows.map((row) => ({ ...row, sealed: next(row.sealed) }));
};

/** The byte strings one after the other, as `concat`, for any number of them. */
export const joined = (items: readonly Bytes[]): Bytes => {
  const out = new Uint8Array(items.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const item of items) {
    out.set(item, at);
    at += item.length;
  }
  return out;
};

/** Gives one piece after the other, in the same memory. */
export const cutting = (bytes: Bytes): ((length: number) => Bytes) => {
  let at = 0;
  return (length) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
};
