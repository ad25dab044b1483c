import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createDataKey, openValue, sealValue } from "@lango/envelope";
import { createVault, openVault, type Vault } from "@lango/vault";
import Database from "better-sqlite3-multiple-ciphers";
import { compareDurations, compareThroughput, type Measure } from "./paired.ts";

const PASSPHRASE = "a passphrase for the benchmark";
const MANY = 100_000;
const FEW = 10;
/** Secrets with values of their own; the rest of the rows only make the tables large. */
const REAL = 1_000;
const VALUE_BYTES = 64;

const passphrase = () => new TextEncoder().encode(PASSPHRASE);
const nameOf = (i: number) => `bench/secret-${String(i).padStart(7, "0")}`;

const unlock = async (slots: readonly { readonly id: string }[]) => ({
  credential: {
    kind: "passphrase" as const,
    source: "bench",
    secret: passphrase(),
    ambient: false,
    slotIds: slots.map((slot) => slot.id),
  },
  skipped: [],
});

/** Makes a vault with `count` secrets: `real` ones through the vault, the others as copies of rows. */
const buildVault = async (home: string, count: number, real: number): Promise<void> => {
  const vault = await createVault({
    home,
    credentials: [{ kind: "passphrase", passphrase: passphrase() }],
  });
  for (let i = 0; i < real; i++)
    await vault.secrets.set(nameOf(i), new Uint8Array(randomBytes(VALUE_BYTES)));
  await vault.close();
  const database = new Database(path.join(home, "lango.db"));
  const columns = (table: string) =>
    (
      database.prepare(`select name from pragma_table_info('${table}')`).all() as { name: string }[]
    ).map((c) => c.name);
  const copy = (table: string, changed: Record<string, string>, where: string) => {
    const names = columns(table);
    const values = names.map((name) => changed[name] ?? name);
    return database.prepare(
      `insert into ${table} (${names.join(", ")}) select ${values.join(", ")} from ${table} where ${where}`,
    );
  };
  const [{ id }] = database.prepare("select id from secrets where name = ?").all(nameOf(0)) as [
    { id: string },
  ];
  const secret = copy("secrets", { id: "$copy", name: "$name" }, "id = $id");
  const version = copy("secret_versions", { secret_id: "$copy" }, "secret_id = $id");
  database.transaction(() => {
    for (let i = real; i < count; i++) {
      const copy = randomBytes(12).toString("hex");
      secret.run({ copy, name: nameOf(i), id });
      version.run({ copy, id });
    }
  })();
  database.close();
};

/** The least that a reader has to do: a prepared SELECT by name, then AES-GCM by hand. No audit, no MAC, no bookkeeping. */
const bareReader = (folder: string) => {
  const database = new Database(path.join(folder, "bare.db"));
  database.exec("pragma journal_mode = wal; pragma synchronous = normal");
  const key = createDataKey(randomBytes(32), randomBytes(12));
  const aad = randomBytes(100);
  database.exec("create table secrets (name text primary key, sealed blob) without rowid");
  const insert = database.prepare("insert into secrets values (?, ?)");
  database.transaction(() => {
    for (let i = 0; i < MANY; i++)
      insert.run(nameOf(i), sealValue(key, randomBytes(VALUE_BYTES), aad));
  })();
  const select = database.prepare("select sealed from secrets where name = ?");
  return (name: string) => openValue(key, (select.get(name) as { sealed: Uint8Array }).sealed, aad);
};

const measureGet = async (vault: Vault, folder: string): Promise<Measure[]> => {
  const bare = bareReader(folder);
  let next = 0;
  const anyName = () => {
    next = (next * 7 + 13) % REAL;
    return nameOf(next);
  };
  const getAtOnce = (count: number) =>
    Promise.all(Array.from({ length: count }, () => vault.secrets.get(anyName())));
  const bareMany = async (count: number) => {
    for (let i = 0; i < count; i++) bare(anyName());
  };
  return [
    await compareThroughput({
      name: "vault-get-64-in-flight-vs-bare",
      ours: () => getAtOnce(64),
      theirs: () => bareMany(64),
      unit: "gets/s",
      amount: 64,
      atLeast: 0.6,
    }),
    await compareThroughput({
      name: "vault-get-one-at-a-time-vs-bare",
      ours: () => vault.secrets.get(anyName()),
      theirs: () => bareMany(1),
      unit: "gets/s",
      amount: 1,
      atLeast: 0.25,
    }),
  ];
};

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

/** Opening and the first read; the key derivation is the same on both sides and is counted on both. */
const openAndRead = (home: string) =>
  timed(async () => {
    const vault = await openVault({ home, unlock });
    await vault.secrets.get(nameOf(0));
    await vault.close();
  });

const changePassphrase = (home: string) => async () => {
  const vault = await openVault({ home, unlock });
  const elapsed = await timed(() =>
    vault.slots.changePassphrase({ oldPassphrase: passphrase(), newPassphrase: passphrase() }),
  );
  await vault.close();
  return elapsed;
};

/** Reads against a bare reader, and how opening and a passphrase change grow with the number of secrets. */
export const measureVault = async (): Promise<Measure[]> => {
  const folder = mkdtempSync(path.join(tmpdir(), "lango-bench-"));
  try {
    const few = path.join(folder, "few");
    const many = path.join(folder, "many");
    await buildVault(few, FEW, FEW);
    await buildVault(many, MANY, REAL);
    const vault = await openVault({ home: many, unlock });
    const reads = await measureGet(vault, folder);
    await vault.close();
    return [
      ...reads,
      await compareDurations({
        name: "open-and-read-100000-vs-10-secrets",
        ours: () => openAndRead(many),
        theirs: () => openAndRead(few),
        atMost: 1.2,
      }),
      await compareDurations({
        name: "passphrase-change-100000-vs-10-secrets",
        ours: changePassphrase(many),
        theirs: changePassphrase(few),
        atMost: 1.2,
      }),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
