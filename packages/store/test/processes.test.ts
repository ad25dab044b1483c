import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "@lango/store";
import { expect, it } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import {
  ended,
  fails,
  insertKeys,
  newStore,
  open,
  printed,
  startScript,
  tempHome,
} from "./helpers.ts";

const KILLS = torture(20, 200);

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

it("two processes and this one write at the same time: nothing is lost", async () => {
  const store = await newStore();
  const { dataKey } = await store.transaction("full", insertKeys);
  const writers = [1, 2].map(() => startScript("write.ts", store.location, "150"));
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
  const store = await newStore();
  await store.transaction("full", insertKeys);
  const writer = startScript("write.ts", store.location, "1", "hold");
  await printed(writer, "in transaction");
  await fails(
    "ERR_BUSY",
    (await open({ file: store.location, mode: "open", busyTimeoutMs: 50 })).transaction(
      "full",
      insertKeys,
    ),
  );
  expect(await checkWhole(store)).toBe(0);
  writer.kill("SIGKILL");
  await ended(writer);
  await store.transaction("full", async () => undefined);
  expect(await checkWhole(store)).toBe(0);
});

it(`kill -9 at ${KILLS} random moments of writing leaves whole transactions only`, async () => {
  const store = await newStore();
  await store.transaction("full", insertKeys);
  await store.close();
  let before = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const writer = startScript("write.ts", store.location, "1000000");
    await printed(writer, "ready");
    await sleep(Math.random() * 40);
    writer.kill("SIGKILL");
    await ended(writer);
    await using after = await open({ file: store.location, mode: "open" });
    const secrets = await checkWhole(after);
    expect(secrets).toBeGreaterThanOrEqual(before);
    before = secrets;
  }
  expect(before).toBeGreaterThan(0);
  report("kill -9 of a writer of the store", new Map([["whole", KILLS]]));
  expect(readdirSync(dirname(store.location)).sort()).toEqual(["lango.db", "lango.lock"]);
}, 3_600_000);

it(`kill -9 at ${KILLS} moments of creating leaves a whole database or none`, async () => {
  const found = new Set<string>();
  for (let kill = 0; kill < KILLS; kill++) {
    const file = join(tempHome(), "lango.db");
    const creator = startScript("create.ts", file);
    await printed(creator, "go");
    await sleep((kill / KILLS) * 40);
    creator.kill("SIGKILL");
    await ended(creator);
    found.add(readdirSync(dirname(file)).sort().join());
    if (existsSync(file)) await (await open({ file, mode: "open" })).close();
    await using store = await open({ file, mode: "create" });
    expect(await store.integrityCheck()).toEqual([]);
    await store.close();
    expect(readdirSync(dirname(file)).sort()).toEqual(["lango.db", "lango.lock"]);
  }
  // Not all of them came too early or too late.
  expect(found.size).toBeGreaterThan(1);
}, 3_600_000);

it("withLock keeps other processes out, and the kernel frees it when its holder dies", async () => {
  const store = await newStore({ busyTimeoutMs: 100 });
  const holder = startScript("lock.ts", store.location);
  await printed(holder, "locked");
  const error = await fails(
    "ERR_CONFLICT",
    store.withLock(async () => undefined),
  );
  expect(error.message).toContain("Another lango");
  holder.kill("SIGKILL");
  await ended(holder);
  expect(await store.withLock(async () => "mine")).toBe("mine");
  expect(
    readdirSync(dirname(store.location)).filter((name) => name.startsWith("lango.lock")),
  ).toEqual(["lango.lock"]);
});

it("withLock is freed when its work fails, and waits while another holds it", async () => {
  const store = await newStore();
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
