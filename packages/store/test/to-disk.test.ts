import fs, { chmodSync, statSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join } from "node:path";
import { openStore } from "@lango/store";
import { expect, it, onTestFinished, vi } from "vitest";
import { fails, newStore, tempHome } from "./helpers.ts";

/** What Node forced to the disk, by inode, and what it renamed, in order. */
const watchDisk = (): (number | string)[] => {
  const events: (number | string)[] = [];
  const { fsyncSync, renameSync } = fs;
  vi.spyOn(fs, "fsyncSync").mockImplementation((descriptor) => {
    fsyncSync(descriptor);
    events.push(fs.fstatSync(descriptor).ino);
  });
  vi.spyOn(fs, "renameSync").mockImplementation((from, to) => {
    renameSync(from, to);
    events.push(`renamed to ${to}`);
  });
  syncBuiltinESMExports();
  onTestFinished(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });
  return events;
};

it("a new database is on the disk before it has its name, and its name after", async () => {
  const events = watchDisk();
  const { location: file } = await newStore();
  const folder = statSync(dirname(file)).ino;
  expect(events).toEqual([statSync(file).ino, `renamed to ${file}`, folder]);
});

it("refuses a lock file that others may open", async () => {
  const store = await newStore();
  const lock = join(dirname(store.location), "lango.lock");
  const run = vi.fn(async () => undefined);
  chmodSync(lock, 0o644);
  const error = await fails("ERR_CONFIG", store.withLock(run));
  expect(error.context.hint).toBe(`Run: chmod 600 '${lock}'`);
  expect(run).not.toHaveBeenCalled();
  chmodSync(lock, 0o600);
  await store.withLock(run);
  expect(run).toHaveBeenCalledOnce();
});

it("makes no database beside a lock file that others may open", async () => {
  const home = tempHome();
  writeFileSync(join(home, "lango.lock"), "", { mode: 0o600 });
  chmodSync(join(home, "lango.lock"), 0o666);
  const file = join(home, "lango.db");
  await fails("ERR_CONFIG", openStore({ file, mode: "create" }));
  expect(fs.existsSync(file)).toBe(false);
});
