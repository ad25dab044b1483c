import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "@lango/store";
import { describe, expect, it } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import {
  ended,
  fails,
  insertKeys,
  KINDS,
  open,
  printed,
  startScript,
  tempHome,
} from "./helpers.ts";
import { secretRow, versionRow } from "./rows.ts";

const KILLS = torture(20, 200);
const SECONDS = torture(5, 60);

/** Every committed state has as many secrets as audit rows as reserved messages. */
async function checkWhole(store: Store): Promise<number> {
  expect(await store.integrityCheck()).toEqual([]);
  const { secrets, auditRows } = await store.counts();
  expect(auditRows).toBe(secrets);
  expect((await store.dataKeys.list())[0]?.messages).toBe(secrets);
  let names = 0;
  let after = "";
  for (;;) {
    const page = await store.secrets.list({ collection: "secrets", after, limit: 1000 });
    for (const row of page) expect(await store.secrets.find("secrets", row.name)).toBeDefined();
    names += page.length;
    if (page.length < 1000) break;
    after = page.at(-1)?.name ?? "";
  }
  expect(names).toBe(secrets);
  return secrets;
}

describe.each(KINDS)("processes with %s", (name, database) => {
  it("two processes and this one write at the same time: nothing is lost", async () => {
    const store = await database.newStore();
    const { dataKey } = await store.transaction("full", insertKeys);
    const writers = [1, 2].map(() => startScript("write.ts", database.argumentFor(store), "150"));
    await Promise.all(writers.map((writer) => printed(writer, "ready")));
    for (let index = 0; index < 50; index++) {
      await store.transaction("normal", (tx) => tx.dataKeys.reserve(dataKey.id, 0, 1));
      await sleep(1);
    }
    for (const writer of writers) expect(await ended(writer), writer.output()).toBe(0);
    expect(await checkWhole(store)).toBe(300);
    expect((await store.dataKeys.find(dataKey.id))?.bytes).toBe(300 * 100 + 50);
  });

  it("kill -9 inside a transaction leaves the state before it", async () => {
    const store = await database.newStore();
    await store.transaction("full", insertKeys);
    const writer = startScript("write.ts", database.argumentFor(store), "1", "hold");
    await printed(writer, "in transaction");
    await fails(
      "ERR_BUSY",
      (await database.reopen(store, { busyTimeoutMs: 50 })).transaction("full", insertKeys),
    );
    expect(await checkWhole(store)).toBe(0);
    writer.kill("SIGKILL");
    await ended(writer);
    await store.transaction("full", async () => undefined);
    expect(await checkWhole(store)).toBe(0);
  });

  it(`kill -9 at ${KILLS} random moments of writing leaves whole transactions only`, async () => {
    const store = await database.newStore();
    await store.transaction("full", insertKeys);
    await store.close();
    let before = 0;
    let kill = 0;
    // On a machine that does much else, some more, and later ones: one of them has to come after a whole transaction.
    for (; kill < KILLS || before === 0; kill++) {
      const writer = startScript("write.ts", database.argumentFor(store), "1000000");
      await printed(writer, "ready");
      await sleep(Math.random() * (kill < KILLS ? 40 : 2000));
      writer.kill("SIGKILL");
      await ended(writer);
      await using after = await database.reopen(store);
      const secrets = await checkWhole(after);
      expect(secrets).toBeGreaterThanOrEqual(before);
      before = secrets;
    }
    await (await database.reopen(store)).close();
    database.checkTidy(store);
    report(`kill -9 of a writer of the store (${name})`, new Map([["whole", kill]]));
  }, 3_600_000);

  it(`8 writers and 8 readers for ${SECONDS} s: no update is lost, no row is torn, nobody fails`, async () => {
    const store = await database.newStore();
    const { dataKey } = await store.transaction("full", insertKeys);
    await store.transaction("full", async (tx) => {
      const secret = secretRow({ keyId: dataKey.keyId, name: "shared" });
      const version = versionRow({ secretId: secret.id, dataKeyId: dataKey.id, size: 1 });
      await tx.secrets.insertSecret(secret, version);
    });
    const start = (role: string) =>
      startScript("load.ts", database.argumentFor(store), role, `${SECONDS * 1000}`);
    const writers = Array.from({ length: 8 }, () => start("writer"));
    const readers = Array.from({ length: 8 }, () => start("reader"));
    const all = [...writers, ...readers];
    await Promise.all(all.map((child) => printed(child, "ready")));
    for (const child of all) child.stdin?.write("go\n");
    for (const child of all) expect(await ended(child), child.output()).toBe(0);
    const told = (child: ReturnType<typeof startScript>) =>
      JSON.parse(child.output().trim().split("\n").at(-1) ?? "") as {
        readonly done: number;
        readonly errors: Record<string, number>;
      };
    const outcomes = new Map([
      ["written", 0],
      ["read", 0],
    ]);
    for (const child of all) {
      const { done, errors } = told(child);
      const { faster = 0, ...others } = errors;
      expect(others).toEqual({});
      count(outcomes, "another was faster", faster);
      count(outcomes, writers.includes(child) ? "written" : "read", done);
    }
    // Of all together: on a busy machine one of them may get no turn.
    const { written, read } = Object.fromEntries(outcomes);
    for (const sum of [written, read]) expect(sum).toBeGreaterThan(0);
    expect(await store.secrets.describe("secrets", "shared")).toMatchObject({
      currentVersion: 1 + (written ?? 0),
    });
    expect((await store.dataKeys.list())[0]?.messages).toBe(written);
    const { seq } = await store.audit.head();
    expect(seq).toBe(written);
    let prev = new Uint8Array(32);
    for (let from = 1; from <= seq; from += 1000) {
      for (const row of await store.audit.page(from, 1000)) {
        expect(row.prev).toEqual(prev);
        prev = row.hash;
      }
    }
    expect(await store.integrityCheck()).toEqual([]);
    report(`8 writers, 8 readers of the store (${name})`, outcomes);
  }, 600_000);

  it("withLock keeps other processes out, and the kernel frees it when its holder dies", async () => {
    const store = await database.newStore({ busyTimeoutMs: 100 });
    const holder = startScript("lock.ts", database.argumentFor(store));
    await printed(holder, "locked");
    const error = await fails(
      "ERR_CONFLICT",
      store.withLock(async () => undefined),
    );
    expect(error.message).toContain("Another lango");
    holder.kill("SIGKILL");
    await ended(holder);
    expect(await store.withLock(async () => "mine")).toBe("mine");
    await store.close();
    database.checkTidy(store);
  });

  it("withLock is freed when its work fails, and waits while another holds it", async () => {
    const store = await database.newStore();
    const reason = new Error("mine");
    await expect(store.withLock(() => Promise.reject(reason))).rejects.toBe(reason);
    const order: string[] = [];
    const holdFor = (name: string) =>
      store.withLock(async () => {
        order.push(`${name} in`);
        await sleep(30);
        order.push(`${name} out`);
      });
    await Promise.all([holdFor("a"), holdFor("b")]);
    expect(order.filter((line) => line.endsWith("in"))).toHaveLength(2);
    expect(order[1]).toBe(order[0]?.replace("in", "out"));
  });
});

it(`kill -9 at ${KILLS} moments of creating leaves a whole database or none`, async () => {
  const found = new Map<string, number>();
  // Not all of them may come too early or too late.
  for (let kill = 0; kill < KILLS || found.size < 2; kill++) {
    const file = join(tempHome(), "lango.db");
    const creator = startScript("create.ts", file);
    await printed(creator, "go");
    await sleep((kill / KILLS) * 40);
    creator.kill("SIGKILL");
    await ended(creator);
    count(found, readdirSync(dirname(file)).sort().join(" ") || "nothing");
    if (existsSync(file)) await (await open({ file, mode: "open" })).close();
    await using store = await open({ file, mode: "create" });
    expect(await store.integrityCheck()).toEqual([]);
    await store.close();
    expect(readdirSync(dirname(file)).sort()).toEqual(["lango.db", "lango.lock"]);
  }
  report("kill -9 while a store is made, what is there", found);
}, 3_600_000);
