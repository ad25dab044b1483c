import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "@lango/store";
import { expect, it, onTestFinished } from "vitest";
import { newDatabaseUrl, sharedPostgres } from "../../../tooling/vitest/postgres.ts";
import { MIGRATIONS } from "../src/migrations.ts";
import { LIMITS } from "../src/postgres/link.ts";
import { openPostgres } from "../src/postgres/open.ts";
import { fails, insertKeys, open } from "./helpers.ts";
import { asOwner } from "./postgres-server.ts";
import { keyRow } from "./rows.ts";
import { type SilentProxy, startSilentProxy } from "./silent-proxy.ts";

const QUICK = { connectMs: 700, statementMs: 700, closeMs: 200 };
/** No wait for other processes, so that the limits show alone. */
const TIMEOUT_MS = 50;

interface Silenced {
  readonly proxy: SilentProxy;
  /** Through the proxy. */
  readonly store: Store;
  readonly direct: Store;
}

const silenced = async (): Promise<Silenced> => {
  const url = new URL(await newDatabaseUrl());
  const direct = await open({ url: url.href, mode: "create" });
  const proxy = await startSilentProxy((await sharedPostgres()).port);
  url.port = `${proxy.port}`;
  const options = { url: url.href, mode: "open" } as const;
  const store = await openPostgres(options, MIGRATIONS, TIMEOUT_MS, QUICK);
  onTestFinished(() => store.close());
  return { proxy, store, direct };
};

/** Milliseconds that something took. */
const timed = async (run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await run();
  return performance.now() - start;
};

/** Whatever was waited for, plus what a machine under load takes. */
const SLACK_MS = 3_000;

it("the limits are those that docs/postgres.md names", () => {
  expect(LIMITS).toEqual({ connectMs: 10_000, statementMs: 30_000, closeMs: 2_000 });
});

it("a read ends as ERR_UNAVAILABLE, retryable, and a server that is back is used again", async () => {
  const { proxy, store } = await silenced();
  await store.transaction("full", insertKeys);
  proxy.silence();
  const took = await timed(async () => {
    const reads = [store.keys.list(), store.counts(), store.keys.findByName("default")];
    for (const read of reads) {
      expect((await fails("ERR_UNAVAILABLE", read)).retryable).toBe(true);
    }
  });
  expect(took).toBeGreaterThan(QUICK.statementMs - 50);
  expect(took).toBeLessThan(QUICK.statementMs + QUICK.connectMs + SLACK_MS);
  // The next one tries to connect.
  expect((await fails("ERR_UNAVAILABLE", store.keys.list())).retryable).toBe(true);
  proxy.heal();
  expect(await store.keys.list()).toHaveLength(1);
  await store.transaction("full", (tx) => tx.keys.insert(keyRow({ name: "next" })));
  expect(await store.counts()).toMatchObject({ keys: 2 });
});

it("a transaction writes nothing, and its lock is free again when the server ends it", async () => {
  const { proxy, store, direct } = await silenced();
  await store.transaction("full", async () => undefined);
  const broken = store.transaction("full", async (tx) => {
    await insertKeys(tx);
    proxy.silence();
    await tx.keys.list();
  });
  expect((await fails("ERR_UNAVAILABLE", broken)).retryable).toBe(true);
  // For the server the transaction is open, until it has heard nothing for a minute: here for a moment.
  const others = await fails(
    "ERR_BUSY",
    openPostgresAt(direct, (near) => near.transaction("full", insertKeys)),
  );
  expect(others.retryable).toBe(true);
  const ended = await asOwner(
    `select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'`,
  );
  expect(ended.rowCount).toBeGreaterThan(0);
  expect(await direct.counts()).toMatchObject({ keys: 0 });
  proxy.heal();
  await store.transaction("full", insertKeys);
  expect(await direct.counts()).toMatchObject({ keys: 1 });
});

const openPostgresAt = async (
  { location }: Store,
  use: (store: Store) => Promise<unknown>,
): Promise<unknown> => {
  const url = new URL(await newDatabaseUrl());
  url.searchParams.set("schema", new URL(location).searchParams.get("schema") ?? "");
  const store = await openPostgres({ url: url.href, mode: "open" }, MIGRATIONS, 300);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
};

it("a commit that nobody answered has an unknown outcome, and is not repeated", async () => {
  const { proxy, store, direct } = await silenced();
  let runs = 0;
  const lost = store.transaction("full", async (tx) => {
    runs += 1;
    await insertKeys(tx);
    proxy.silence();
  });
  const error = await fails("ERR_UNAVAILABLE", lost);
  expect(error.retryable).toBe(false);
  expect(error.context.hint).toContain("unknown");
  expect(runs).toBe(1);
  proxy.heal();
  // Swallowed on the way there, so it was not written; the server still holds its lock.
  expect(await direct.counts()).toMatchObject({ keys: 0 });
  expect(await store.keys.list()).toEqual([]);
});

it("a lock whose connection went silent is reported when the work is done", async () => {
  const { proxy, store } = await silenced();
  const work = store.withLock(async () => {
    proxy.silence();
    return "done";
  });
  const error = await fails("ERR_UNAVAILABLE", work);
  expect(error.retryable).toBe(false);
  expect(error.context.hint).toContain("outcome");
  proxy.heal();
});

it("closing does not wait for the goodbye of a silent server", async () => {
  const { proxy, store } = await silenced();
  await store.transaction("full", insertKeys);
  await store.keys.list();
  proxy.silence();
  expect(await timed(() => store.close())).toBeLessThan(QUICK.closeMs + SLACK_MS);
});

it("a writer that waits for its turn is not taken for one whose server is silent", async () => {
  const url = await newDatabaseUrl();
  const holder = await open({ url, mode: "create" });
  const patient = 4 * QUICK.statementMs;
  const store = await openPostgres({ url, mode: "open" }, MIGRATIONS, patient, QUICK);
  onTestFinished(() => store.close());
  let writing: Promise<unknown> | undefined;
  await holder.transaction("full", async (tx) => {
    await tx.counts();
    writing = store.transaction("full", insertKeys);
    await sleep(2 * QUICK.statementMs);
  });
  await writing;
  expect(await store.counts()).toMatchObject({ keys: 1 });
});

it("opening takes no longer than a connection may", async () => {
  const url = new URL(await newDatabaseUrl());
  const proxy = await startSilentProxy((await sharedPostgres()).port);
  proxy.silence();
  url.port = `${proxy.port}`;
  const took = await timed(async () => {
    const opening = openPostgres({ url: url.href, mode: "create" }, MIGRATIONS, TIMEOUT_MS, QUICK);
    expect((await fails("ERR_UNAVAILABLE", opening)).retryable).toBe(true);
  });
  expect(took).toBeGreaterThan(QUICK.connectMs - 50);
  expect(took).toBeLessThan(QUICK.connectMs + SLACK_MS);
});

it("a snapshot and a migration that lose their server change nothing", async () => {
  const { proxy, store, direct } = await silenced();
  const read = store.snapshot?.(async (reads) => {
    await reads.counts();
    proxy.silence();
    return reads.counts();
  });
  await fails("ERR_UNAVAILABLE", read ?? Promise.resolve());
  proxy.heal();
  const sql = "create table extra (a text not null)";
  const next = [
    ...MIGRATIONS,
    { version: MIGRATIONS.length + 1, name: "extra", checksum: "0".repeat(64), sql: () => sql },
  ];
  const url = new URL(await newDatabaseUrl());
  url.port = `${proxy.port}`;
  url.searchParams.set("schema", new URL(direct.location).searchParams.get("schema") ?? "");
  proxy.silenceAt("pg_advisory_lock");
  const migrating = openPostgres({ url: url.href, mode: "open" }, next, TIMEOUT_MS, QUICK);
  await fails("ERR_UNAVAILABLE", migrating);
  const { rows } = await asOwner("select to_regclass('extra') is null as absent", direct);
  expect(rows).toEqual([{ absent: true }]);
  proxy.heal();
  await (await openPostgres({ url: url.href, mode: "open" }, next, TIMEOUT_MS, QUICK)).close();
});
