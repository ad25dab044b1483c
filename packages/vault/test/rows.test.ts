import { createHmac, createSecretKey } from "node:crypto";
import { utf8 } from "@lango/crypto-core";
import { jcs, parts } from "@lango/envelope";
import fc from "fast-check";
import { expect, test } from "vitest";
import { recordAad } from "../src/names.ts";
import { checkRow, withMac } from "../src/rows.ts";
import { expectCode } from "./helpers.ts";

const key = createSecretKey(Buffer.alloc(32, 7));
const keys = { current: key };
const text = fc.string({ unit: "grapheme" });

const secret = fc.record({
  id: text,
  collection: text,
  name: text,
  keyId: text,
  currentVersion: fc.maxSafeNat(),
  createdAt: fc.maxSafeNat(),
  updatedAt: fc.maxSafeNat(),
  deletedAt: fc.option(fc.maxSafeNat()),
  uses: fc.nat(),
  lastUsedAt: fc.option(fc.nat()),
});

test("the MAC of a row is the documented one: HMAC(table, primary key, JCS of the columns)", () => {
  fc.assert(
    fc.property(secret, (row) => {
      const columns = {
        id: row.id,
        collection: row.collection,
        name: row.name,
        key_id: row.keyId,
        current_version: row.currentVersion,
        created_at: row.createdAt,
        updated_at: row.updatedAt,
        deleted_at: row.deletedAt,
      };
      const covered = parts(utf8("secrets"), utf8(row.id), utf8(jcs(columns)));
      const mac = createHmac("sha256", key).update(covered).digest();
      expect(Buffer.compare(withMac(keys, "secrets", row).mac, mac)).toBe(0);
    }),
  );
});

test("every column under the MAC counts, the counters do not", async () => {
  const [row] = fc.sample(secret, { numRuns: 1, seed: 1 });
  const sealed = withMac(keys, "secrets", row!);
  checkRow(keys, "secrets", { ...sealed, uses: 99, lastUsedAt: 99 });
  for (const change of [
    { id: "x" },
    { collection: "x" },
    { name: "x!" },
    { keyId: "x" },
    { currentVersion: -1 },
    { createdAt: -1 },
    { updatedAt: -1 },
    { deletedAt: -1 },
    { mac: new Uint8Array(32) },
    { mac: new Uint8Array(0) },
  ]) {
    await expectCode(
      async () => checkRow(keys, "secrets", { ...sealed, ...change }),
      "ERR_INTEGRITY",
    );
  }
});

test("a former key opens rows while all are written anew, and writes none", async () => {
  const [row] = fc.sample(secret, { numRuns: 1, seed: 2 });
  const next = createSecretKey(Buffer.alloc(32, 8));
  const before = withMac(keys, "secrets", row!);
  const both = { current: next, former: key };
  checkRow(both, "secrets", before);
  const after = withMac(both, "secrets", before);
  checkRow({ current: next }, "secrets", after);
  await expectCode(async () => checkRow(keys, "secrets", after), "ERR_INTEGRITY");
  await expectCode(async () => checkRow({ current: next }, "secrets", before), "ERR_INTEGRITY");
});

test("the AAD of a value is the documented one, with the version as u64", () => {
  const vaultId = new Uint8Array(16).fill(3);
  fc.assert(
    fc.property(fc.maxSafeNat(), (version) => {
      const number = new Uint8Array(8);
      new DataView(number.buffer).setBigUint64(0, BigInt(version));
      const names = ["secrets", "a/b", "value"].map(utf8);
      expect(recordAad(vaultId, "secrets", "a/b", version)).toEqual(
        parts(utf8("lango/v1/record"), vaultId, ...names, number),
      );
    }),
  );
});
