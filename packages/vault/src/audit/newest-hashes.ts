import { hash } from "node:crypto";
import { randomBytesFresh, toBase64 } from "@lango/crypto-core";

/** What the log says last of each row that it knows: the hash of the row, and the row of the log that says so. */
export interface NewestHashes {
  /** @param rowHash - In hex; null forgets the row. What is no SHA-256 is the hash of no row. */
  set(name: string, rowHash: string | null, seq: number): void;
  /** The row of the log that says it; `undefined` for a row that is not known. */
  seqOf(name: string): number | undefined;
  /** Whether that is the hash of the row. */
  has(name: string, rowHash: string | null): boolean;
  /** {@link NewestHashes.has}, noted for {@link NewestHashes.unseen}. */
  see(name: string, rowHash: string | null): boolean;
  /** How many rows were not seen with what was set last. */
  unseen(): number;
  /** The rows of the log that say something of those, in order. */
  unseenSeqs(): number[];
  /** Whether it is known and was not seen. */
  isUnseen(name: string): boolean;
}

// A record: 16 bytes of the name's digest, the hash, the number of the row of the log, whether it was seen.
const KEY_BYTES = 16;
const HASH_BYTES = 32;
const SEQ_AT = KEY_BYTES + HASH_BYTES;
const SEQ_BYTES = 8;
const SEEN_AT = SEQ_AT + SEQ_BYTES;
const RECORD_BYTES = SEEN_AT + 1;

const MAX_LOAD = 0.8;
const GROWTH = 1.5;

/**
 * 57 bytes for each row and at most as much again for free places, outside of V8's heap, where a map of the texts takes some 500: a vault
 * has two rows for each secret. Names are not kept; the row of the log has them. An open hash table with linear probing, by a digest of
 * the name that nobody else can compute, so that no two names are made to share it.
 */
export const createNewestHashes = (capacity = 1024): NewestHashes => {
  const salt = toBase64(randomBytesFresh(KEY_BYTES));
  let places = capacity;
  let records = Buffer.alloc(places * RECORD_BYTES);
  let count = 0;
  let seen = 0;

  const homeOf = (key: Buffer, at = 0): number => key.readUIntBE(at, 6) % places;
  /** 0 for a free place. */
  const seqAt = (place: number): number => records.readDoubleBE(place * RECORD_BYTES + SEQ_AT);
  const isSeen = (place: number): boolean => records[place * RECORD_BYTES + SEEN_AT] === 1;
  const after = (place: number): number => (place + 1) % places;

  /** Where the record is, or would go. */
  const find = (key: Buffer, at = 0): number => {
    let place = homeOf(key, at);
    for (; seqAt(place) !== 0; place = after(place)) {
      const start = place * RECORD_BYTES;
      const end = start + KEY_BYTES;
      if (records.compare(key, at, at + KEY_BYTES, start, end) === 0) break;
    }
    return place;
  };

  // In one memory for all: memory of their own for each would be what a long log is remembered for.
  const scratch = Buffer.alloc(HASH_BYTES);
  const keyOf = (name: string): Buffer => {
    scratch.write(hash("sha256", `${salt} ${name}`), "hex");
    return scratch;
  };
  const known = (name: string): number | undefined => {
    const place = find(keyOf(name));
    return seqAt(place) === 0 ? undefined : place;
  };

  const grow = (): void => {
    const old = records;
    places = Math.ceil(places * GROWTH);
    records = Buffer.alloc(places * RECORD_BYTES);
    for (let at = 0; at < old.length; at += RECORD_BYTES) {
      if (old.readDoubleBE(at + SEQ_AT) === 0) continue;
      old.copy(records, find(old, at) * RECORD_BYTES, at, at + RECORD_BYTES);
    }
  };

  /** Records that had to go past the place move up, so that none is cut off from where its search begins. */
  const remove = (place: number): void => {
    count -= 1;
    if (isSeen(place)) seen -= 1;
    let free = place;
    for (let next = after(free); seqAt(next) !== 0; next = after(next)) {
      const start = next * RECORD_BYTES;
      const distance = (next - homeOf(records, start) + places) % places;
      if (distance < (next - free + places) % places) continue;
      records.copy(records, free * RECORD_BYTES, start, start + RECORD_BYTES);
      free = next;
    }
    records.fill(0, free * RECORD_BYTES, (free + 1) * RECORD_BYTES);
  };

  /** Where a record says that; `undefined` for another hash, or none. */
  const placeOf = (name: string, rowHash: string | null): number | undefined => {
    const place = known(name);
    if (place === undefined || rowHash === null) return undefined;
    const start = place * RECORD_BYTES + KEY_BYTES;
    return bytesOf(rowHash).equals(records.subarray(start, start + HASH_BYTES)) ? place : undefined;
  };

  return {
    set(name, rowHash, seq) {
      const key = keyOf(name);
      let place = find(key);
      const isKnown = seqAt(place) !== 0;
      if (rowHash === null) {
        if (isKnown) remove(place);
        return;
      }
      if (isKnown) {
        if (isSeen(place)) seen -= 1;
      } else {
        if (count + 1 > places * MAX_LOAD) {
          grow();
          place = find(key);
        }
        count += 1;
      }
      const start = place * RECORD_BYTES;
      key.copy(records, start, 0, KEY_BYTES);
      bytesOf(rowHash).copy(records, start + KEY_BYTES);
      records.writeDoubleBE(seq, start + SEQ_AT);
      records[start + SEEN_AT] = 0;
    },
    seqOf(name) {
      const place = known(name);
      return place === undefined ? undefined : seqAt(place);
    },
    has: (name, rowHash) => placeOf(name, rowHash) !== undefined,
    see(name, rowHash) {
      const place = placeOf(name, rowHash);
      if (place === undefined) return false;
      if (!isSeen(place)) seen += 1;
      records[place * RECORD_BYTES + SEEN_AT] = 1;
      return true;
    },
    unseen: () => count - seen,
    unseenSeqs() {
      const seqs = new Set<number>();
      for (let place = 0; seen < count && place < places; place += 1) {
        if (seqAt(place) !== 0 && !isSeen(place)) seqs.add(seqAt(place));
      }
      return [...seqs].sort((a, b) => a - b);
    },
    isUnseen(name) {
      const place = known(name);
      return place !== undefined && !isSeen(place);
    },
  };
};

/** Zeros, the hash of no row, for what is not written as the log writes one: its rows are only known to hold two texts. */
const bytesOf = (rowHash: unknown): Buffer =>
  typeof rowHash === "string" && /^[0-9a-f]{64}$/.test(rowHash)
    ? Buffer.from(rowHash, "hex")
    : Buffer.alloc(HASH_BYTES);
