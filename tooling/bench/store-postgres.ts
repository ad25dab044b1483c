import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { openStore, type Store, type StoreTransaction } from "@lango/store";
import { findService, missingService, serviceNamed } from "../services/find.ts";
import { POSTGRES_USER, startPostgres } from "../services/postgres.ts";
import { compareThroughput, type Measure, Skipped } from "./paired.ts";

const ROWS = 1_000;
const PASSWORD = "bench";

const bytes = (length: number) => new Uint8Array(randomBytes(length));
const hex = () => randomBytes(12).toString("hex");

/** What a store on a server does in a second, against SQLite in a file: reported, nothing is asked of it. */
export const measureStorePostgres = async (): Promise<Measure[]> => {
  const service = serviceNamed("postgres");
  const program = findService(service);
  if (program === undefined) throw new Skipped(missingService(service));
  const folder = mkdtempSync(path.join(tmpdir(), "lango-bench-"));
  const server = await startPostgres(program, PASSWORD, { fsync: true });
  try {
    const url = `postgres://${POSTGRES_USER}:${PASSWORD}@127.0.0.1:${server.port}/postgres`;
    await using ours = await openStore({ url, mode: "create" });
    await using theirs = await openStore({ file: path.join(folder, "lango.db"), mode: "create" });
    const [onServer, inFile] = [await fill(ours), await fill(theirs)];
    const row = (name: string, work: (filled: Filled) => Promise<unknown>, amount = 1) =>
      compareThroughput({
        name: `store-postgres-${name}-vs-sqlite`,
        ours: () => work(onServer),
        theirs: () => work(inFile),
        unit: `${name.slice(0, 3)}s/s`,
        amount,
        atLeast: 0,
      });
    const measures = [
      await row("get", get),
      await row(
        "get-64-in-flight",
        (filled) => Promise.all(Array.from({ length: 64 }, () => get(filled))),
        64,
      ),
      await row("set", set),
    ];
    return measures.map((measure) => ({ ...measure, target: "none: reported" }));
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};

interface Filled {
  readonly store: Store;
  readonly keyId: string;
  readonly dataKeyId: string;
}

const nameOf = (row: number) => `bench/secret-${row}`;
const anyName = () => nameOf(Math.floor(Math.random() * ROWS));
const times = { createdAt: 1, updatedAt: 1, deletedAt: null, lastUsedAt: null };

/** A key, a data key and rows of the usual size. */
const fill = async (store: Store): Promise<Filled> => {
  const [keyId, dataKeyId] = [hex(), hex()];
  await store.transaction("full", async (tx) => {
    await insertKeys(tx, keyId, dataKeyId);
    for (let row = 0; row < ROWS; row++) {
      const id = hex();
      const head = { id, collection: "secrets", name: nameOf(row), keyId, currentVersion: 1 };
      await tx.secrets.insertSecret(
        { ...head, ...times, mac: bytes(32), uses: 0 },
        { secretId: id, version: 1, dataKeyId, sealed: bytes(180), size: 64, createdAt: 1 },
      );
    }
  });
  return { store, keyId, dataKeyId };
};

const insertKeys = async (tx: StoreTransaction, keyId: string, dataKeyId: string) => {
  await tx.keys.insert({
    ...{ id: keyId, name: "default", type: "encryption", algorithm: "AES-256-GCM" },
    ...{ provider: "local", remoteKeyId: null, keyVersion: "1", publicKey: null, state: "enabled" },
    ...{ createdAt: 1, lastUsedAt: null, mac: bytes(32) },
  });
  await tx.dataKeys.insert({
    ...{ id: dataKeyId, keyId, domain: "secrets", wrapped: bytes(112), wrapUri: "local:vault" },
    ...{ wrapVersion: "1", state: "active", degraded: false, messages: 0, bytes: 0 },
    ...{ createdAt: 1, mac: bytes(32) },
  });
};

const get = ({ store }: Filled) => store.secrets.find("secrets", anyName());

/** As the vault writes: a version, the pruning of old ones and a row of the audit. */
const set = ({ store, keyId, dataKeyId }: Filled) =>
  store.transaction("full", async (tx) => {
    const current = await tx.secrets.find("secrets", anyName());
    if (current === undefined) throw new Error("a row is missing");
    const { id, currentVersion } = current;
    const version = currentVersion + 1;
    await tx.secrets.addVersion(
      { id, keyId, currentVersion: version, updatedAt: 2, mac: bytes(32) },
      { secretId: id, version, dataKeyId, sealed: bytes(180), size: 64, createdAt: 2 },
      currentVersion,
    );
    await tx.secrets.pruneVersions(id, 10);
    const { seq, hash } = await tx.audit.lockHead();
    const row = {
      seq: seq + 1,
      prev: hash,
      hash: bytes(32),
      mac: bytes(32),
      epoch: 1,
      entry: "{}",
    };
    await tx.audit.append([row]);
  });
