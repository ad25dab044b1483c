import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isCryptoError } from "@lango/crypto-core";
import type {
  DataKeyRow,
  KeyRow,
  OpenFileOptions,
  OpenStoreOptions,
  SecretRow,
  SecretVersionRow,
  SqliteConstructor,
  Store,
  StoreTransaction,
} from "@lango/store";
import { openStore } from "@lango/store";
import { expect, onTestFinished } from "vitest";
import { sharedPostgres } from "../../../tooling/vitest/postgres.ts";
import { addressOf, withPassword } from "./postgres-server.ts";
import { dataKeyRow, keyRow, secretRow, versionRow } from "./rows.ts";

const load = (name: string): SqliteConstructor => createRequire(import.meta.url)(name);

/** Both real drivers. */
export const DRIVERS: readonly [string, SqliteConstructor][] = [
  ["better-sqlite3-multiple-ciphers", load("better-sqlite3-multiple-ciphers")],
  ["better-sqlite3", load("better-sqlite3")],
];

export const [, Sqlite] = DRIVERS[0] as [string, SqliteConstructor];

/** A folder of mode 0700 that goes with the test. */
export function tempHome(): string {
  const home = mkdtempSync(join(tmpdir(), "lango-store-"));
  onTestFinished(() => {
    chmodSync(home, 0o700);
    rmSync(home, { recursive: true });
  });
  return home;
}

/** A kind of database, for tests that hold for each. */
export interface Database {
  /** A new, empty store in a place of its own. */
  newStore(options?: Partial<AnyOptions>): Promise<Store>;
  /** Another store on the same database. */
  reopen(store: Store, options?: Partial<AnyOptions>): Promise<Store>;
  /** What names the database to a script. */
  argumentFor(store: Store): string;
  /** Checks that nothing is left on the disk but the database and its lock. */
  checkTidy(store: Store): void;
}

type AnyOptions = Pick<OpenStoreOptions, "mode" | "busyTimeoutMs">;

const sqliteDatabase = (sqlite: SqliteConstructor): Database => ({
  newStore: (options) => newStore({ sqlite, ...options }),
  reopen: (store, options) => open({ file: store.location, mode: "open", sqlite, ...options }),
  argumentFor: (store) => store.location,
  checkTidy: ({ location }) =>
    expect(readdirSync(dirname(location)).sort()).toEqual(["lango.db", "lango.lock"]),
});

const postgresDatabase: Database = {
  async newStore(options) {
    const url = `${addressOf(await sharedPostgres())}?schema=${encodeURIComponent(`a "vault's" ${randomUUID()}`)}`;
    return open({ url, mode: "create", ...options });
  },
  reopen: (store, options) => open({ url: withPassword(store), mode: "open", ...options }),
  argumentFor: withPassword,
  checkTidy: () => undefined,
};

/** Every kind of database, with each real driver. */
export const DATABASES: readonly [string, Database][] = [
  ...DRIVERS.map(([name, sqlite]): [string, Database] => [name, sqliteDatabase(sqlite)]),
  ["pg", postgresDatabase],
];

/** Of each kind one, for tests of what the driver has no part in. */
export const KINDS: readonly [string, Database][] = DATABASES.filter(
  ([name]) => name !== "better-sqlite3",
);

/** A store that is closed when the test ends. */
export async function open(options: OpenStoreOptions): Promise<Store> {
  const store = await openStore(options);
  onTestFinished(() => store.close());
  return store;
}

/** A new, empty store in a folder of its own. */
export const newStore = (options: Partial<OpenFileOptions> = {}): Promise<Store> =>
  open({ file: join(tempHome(), "lango.db"), mode: "create", ...options });

/** A key with an active data key, which every secret needs. */
export async function insertKeys(
  tx: StoreTransaction,
): Promise<{ key: KeyRow; dataKey: DataKeyRow }> {
  const key = keyRow();
  const dataKey = dataKeyRow({ keyId: key.id });
  await tx.keys.insert(key);
  await tx.dataKeys.insert(dataKey);
  return { key, dataKey };
}

/** Adds a secret with one version. */
export async function insertSecret(
  tx: StoreTransaction,
  dataKey: DataKeyRow,
  row: Partial<SecretRow> = {},
): Promise<{ secret: SecretRow; version: SecretVersionRow }> {
  const secret = secretRow({ keyId: dataKey.keyId, ...row });
  const version = versionRow({ secretId: secret.id, dataKeyId: dataKey.id });
  await tx.secrets.insertSecret(secret, version);
  return { secret, version };
}

/** Expects a CryptoError of one code and returns it. */
export async function fails(
  code: string,
  work: Promise<unknown> | (() => unknown),
): Promise<Error & { context: { hint?: string }; retryable: boolean }> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    expect(error.code, error.message).toBe(code);
    return error as never;
  }
  return expect.fail(`no error, expected ${code}`);
}

/** Starts a script of this folder in a process of its own; it ends with the test. */
export function startScript(
  name: string,
  ...args: string[]
): ChildProcess & { output: () => string } {
  const child = spawn(
    process.execPath,
    [
      "--conditions=@lango/source",
      fileURLToPath(new URL(`scripts/${name}`, import.meta.url)),
      ...args,
    ],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output += chunk;
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return Object.assign(child, { output: () => output });
}

/** Resolves when the script has printed `word`, rejects with all it printed when it ends before. */
export function printed(child: ReturnType<typeof startScript>, word: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => child.output().includes(word) && resolve();
    child.stdout?.on("data", look);
    child.on("close", () => reject(new Error(`ended without "${word}":\n${child.output()}`)));
    look();
  });
}

/** Waits for a process; its exit status, or null after a signal. */
export const ended = (child: ChildProcess): Promise<number | null> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise((resolve) => child.once("close", resolve));
