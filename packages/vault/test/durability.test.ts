import { fstatSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { createLocalProvider } from "@lango/crypto-local";
import type { SqliteDatabase } from "@lango/store";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { Sqlite } from "./sqlite.ts";
import { weakKdf } from "./weak-kdf.ts";

const LEVELS = ["off", "normal", "full", "extra"];

interface NativeStatement {
  readonly source: string;
  readonly database: SqliteDatabase;
  run(...parameters: unknown[]): unknown;
}

/** Every commit of the real driver: its `pragma synchronous`, and the action of the newest row of the log in it. */
const watchCommits = (): string[] => {
  const commits: string[] = [];
  const memory = new Sqlite(":memory:", {});
  const statements = Object.getPrototypeOf(memory.prepare("select 1")) as NativeStatement;
  memory.close();
  const { run } = statements;
  vi.spyOn(statements, "run").mockImplementation(function (this: NativeStatement, ...parameters) {
    if (this.source === "commit") {
      const level = this.database.prepare("pragma synchronous").get() as { synchronous: number };
      const last = this.database
        .prepare("select entry ->> 'action' as action from audit_log order by seq desc limit 1")
        .get() as { action: string } | undefined;
      commits.push(`${LEVELS[level.synchronous]} ${last?.action}`);
    }
    return run.apply(this, parameters);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  return commits;
};

test("every write commits with FULL; what only says that something was read, with NORMAL", async () => {
  const commits = watchCommits();
  const took = (): string[] => commits.splice(0);
  const home = newHome();
  const vault = await makeVault(home);
  expect(took()).toEqual(["full vault.create", "full slots.commit"]);
  await vault.close();

  await expectCode(() => reopen(home, { passphrase: "wrong horse" }), "ERR_WRONG_PASSPHRASE");
  const remote = createLocalProvider();
  await remote.createKey!({ keyId: "k", algorithm: "aes-256-gcm", usage: "encryption" });
  const again = await reopen(home, { providers: { other: { ...remote, name: "other" } } });
  // The attempt that failed, then the opening.
  expect(took()).toEqual(["full vault.unlock", "normal vault.unlock"]);

  const written: readonly [string, (vault: Vault) => Promise<unknown>][] = [
    ["secret.set", ({ secrets }) => secrets.set("a", bytes("v"))],
    ["secret.rollback", ({ secrets }) => secrets.rollback("a", 1)],
    ["secret.delete", ({ secrets }) => secrets.delete("a")],
    ["key.create", ({ keys }) => keys.create({ name: "k", type: "encryption" })],
    ["key.rotate", ({ keys }) => keys.provider().rotateKey!({ keyId: "k" })],
    ["key.register", ({ keys }) => keys.create({ name: "r", type: "encryption", uri: "other:k" })],
    ["data-key.create", ({ secrets }) => secrets.set("b", bytes("v"), { key: "k" })],
    ["noted", ({ audit }) => audit.append({ action: "noted" })],
  ];
  for (const [action, write] of written) {
    await write(again);
    expect(took(), action).toContain(`full ${action}`);
  }
  await again.slots.changePassphrase({
    oldPassphrase: bytes(PASSPHRASE),
    newPassphrase: bytes("another long passphrase"),
    ...weakKdf(),
  });
  expect(took()).toEqual(["full slots.change-passphrase", "full slots.commit"]);

  await again.secrets.get("b");
  expect(took()).toEqual(["normal use"]);
  await again.keys.provider().encrypt({ keyId: "k", plaintext: bytes("x") });
  expect(took()).toEqual(["normal use"]);
  await expectCode(() => again.secrets.get("none"), "ERR_NOT_FOUND");
  expect(took()).toEqual(["normal secret.get"]);
  await again.audit.append({ action: "seen", durability: "normal" });
  expect(took()).toEqual(["normal seen"]);
  // The counters of use.
  await again.secrets.list();
  expect(took()).toEqual(["normal seen"]);
});

/** What was forced to the disk with a handle of `node:fs/promises`, as inodes, and where renames fell between. */
const watchSyncs = async (): Promise<(number | string)[]> => {
  const events: (number | string)[] = [];
  const handle = await open(import.meta.filename);
  const handles = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const { sync } = handles;
  vi.spyOn(handles, "sync").mockImplementation(async function (this: FileHandle) {
    await sync.call(this);
    events.push(fstatSync(this.fd).ino);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  return events;
};

test("new slots are on the disk before they take the place of the old ones, and the rename after it", async () => {
  const home = newHome();
  const events = await watchSyncs();
  const ino = (name: string): number => statSync(join(home, name)).ino;
  /** The file of a step: forced to the disk under its temporary name, renamed, then the folder forced. */
  const note = (step: string): void => {
    for (const stage of ["written", "renamed"]) {
      onStage(`${step}:${stage}`, () => void events.push(`${step}:${stage}`));
    }
  };
  note("onboard-backup");
  note("onboard");
  const vault = await makeVault(home);
  const [backup, slots] = [ino("keyslots.bak.json"), ino("keyslots.json")];
  expect(events.splice(0)).toEqual([
    ...[backup, "onboard-backup:written", "onboard-backup:renamed", ino(".")],
    ...[slots, "onboard:written", "onboard:renamed", ino(".")],
  ]);
  note("slots");
  note("slots-backup");
  await vault.slots.changePassphrase({
    oldPassphrase: bytes(PASSPHRASE),
    newPassphrase: bytes("another long passphrase"),
    ...weakKdf(),
  });
  expect(events.splice(0)).toEqual([
    ...[ino("keyslots.json"), "slots:written", "slots:renamed", ino(".")],
    ...[ino("keyslots.bak.json"), "slots-backup:written", "slots-backup:renamed", ino(".")],
  ]);
});
