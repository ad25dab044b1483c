import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { withFolderLock } from "@lango/store";
import { openVault } from "@lango/vault";
import { describe, expect, test } from "vitest";
import { createBackup, openedBy, restoreBackup, verifyBackup } from "../src/index.ts";
import { STAGES } from "../src/stages.ts";
import {
  backedUp,
  backUp,
  CONFIG,
  create,
  DEVICE,
  newFolder,
  newKeys,
  open,
  PASSPHRASE,
  snapshot,
  unlockWith,
} from "./support.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe("a backup", () => {
  test("comes back into a home that is not there, with everything in it", async () => {
    const { folder, file, identity } = await backedUp();
    const home = join(folder, "somewhere/else");
    const restored = await restoreBackup({
      ...{ file, home, opening: { identities: [identity] }, unlock: unlockWith() },
    });
    expect(restored).toMatchObject({
      generation: { backup: 1, now: 2 },
      ...{ secretCount: 1, keyCount: 1, retiredDataKeys: 1, suspendedCompanions: 1 },
      ...{ setAside: undefined, returnedSlots: undefined },
    });
    expect(readdirSync(dirname(home))).toEqual(["else"]);
    expect(modeOf(home)).toBe(0o700);
    const files = readdirSync(home);
    expect(files.sort()).toEqual([
      ...["config.json", "keyslots.bak.json", "keyslots.json", "lango.db", "lango.lock"],
    ]);
    for (const name of files) expect(modeOf(join(home, name)), name).toBe(0o600);
    expect(readFileSync(join(home, "config.json"), "utf8")).toBe(CONFIG);

    await using vault = await open(home);
    expect(text((await vault.secrets.get("api/key")).value)).toBe("first");
    await vault.secrets.set("api/key", utf8("second"));
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
    const { slotFile, dataKeys } = await vault.status();
    expect(slotFile).toBe("settled");
    expect(dataKeys).toHaveLength(1);
    expect(await vault.companions.list()).toMatchObject([{ id: DEVICE, state: "suspended" }]);
    const row = (await vault.audit.tail()).find(({ action }) => action === "backup.restore");
    expect(row?.detail).toMatch(/^backup of 20.*; generation 1 became 2$/);
  });

  test("gets a generation above that of the replaced database, whose slots are older", async () => {
    const { home, file, identity } = await backedUp();
    const slots = readFileSync(join(home, "keyslots.json"));
    const vault = await open(home);
    for (const label of ["b", "c"]) {
      const slot = { kind: "env" as const, key: new Uint8Array(32).fill(label.charCodeAt(0)) };
      await vault.slots.add({ ...slot, label });
    }
    await vault.close();
    writeFileSync(join(home, "keyslots.json"), slots);
    const options = { file, home, opening: { identities: [identity] }, unlock: unlockWith() };
    const restored = await restoreBackup({ ...options, force: true });
    expect(restored.generation).toEqual({ backup: 1, now: 4 });
  });

  test("that cannot go into place leaves the old home where it was, or says where it is", async () => {
    const { folder, home, file, identity } = await backedUp();
    const before = snapshot(home);
    const options = { file, home, opening: { identities: [identity] }, unlock: unlockWith() };
    const whenAside = async (run: () => void) => {
      const onStage = (stage: unknown): void => {
        if (stage === "restore:aside") run();
      };
      subscribe(STAGES, onStage);
      try {
        return await restoreBackup({ ...options, force: true }).catch((error: unknown) => error);
      } finally {
        unsubscribe(STAGES, onStage);
      }
    };
    await whenAside(() => rmSync(`${home}.restoring/home`, { recursive: true }));
    expect(snapshot(home)).toEqual(before);
    expect(readdirSync(folder).sort()).toEqual(["home", "vault.age"]);
    const error = await whenAside(() => {
      mkdirSync(home);
      writeFileSync(join(home, "x"), "");
    });
    const aside = readdirSync(folder).find((name) => name.includes("before-restore")) ?? "";
    expect(error).toMatchObject({ code: "ERR_CONFLICT", message: expect.stringContaining(aside) });
    expect(Object.values(snapshot(join(folder, aside)))).toEqual(Object.values(before));
  });

  test("waits for who is changing the home that it replaces, and gives up", async () => {
    const { folder, home, file, identity } = await backedUp();
    const options = { file, home, opening: { identities: [identity] }, unlock: unlockWith() };
    const before = readdirSync(home);
    await withFolderLock(home, async () => {
      const restored = restoreBackup({ ...options, force: true });
      await expect(restored).rejects.toMatchObject({ code: "ERR_CONFLICT" });
    });
    expect(readdirSync(home)).toEqual(expect.arrayContaining(before));
    expect(readdirSync(folder).sort()).toEqual(["home", "vault.age"]);
  });

  test("drops grants and handles", async () => {
    const { folder, home, identity, recipient } = await backedUp();
    const vault = await open(home);
    await vault.secrets.set("box", utf8("v"));
    const use = { secret: "box", session: "s", tool: "t", destination: "https://example.com" };
    const { handle } = await vault.approvals.handles.issue({ ...use, uses: 3 });
    const file = join(folder, "second.age");
    await backUp(vault, file, recipient);
    await vault.close();
    const to = join(folder, "to");
    const restored = await restoreBackup({
      ...{ file, home: to, opening: { identities: [identity] }, unlock: unlockWith() },
    });
    expect(restored.droppedPermits).toBe(1);
    await using back = await open(to);
    expect(await back.approvals.handles.check(handle, use)).toBe(false);
    expect(await back.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test("replaces a home only with force, sets that aside whole, and names slots that come back", async () => {
    const { home, file, identity } = await backedUp();
    const vault = await open(home);
    const [old] = await vault.slots.list();
    await vault.slots.changePassphrase({
      ...{ oldPassphrase: utf8(PASSPHRASE), newPassphrase: utf8("another long one") },
      ...{ acceptWeakKdf: true },
    });
    await vault.secrets.set("later", utf8("lost"));
    await vault.close();
    const before = snapshot(home);
    const options = { file, home, opening: { identities: [identity] }, unlock: unlockWith() };
    await expect(restoreBackup(options)).rejects.toMatchObject({ code: "ERR_CONFLICT" });
    expect(snapshot(dirname(home))).toMatchObject(before);

    const restored = await restoreBackup({ ...options, force: true });
    expect(restored.generation).toEqual({ backup: 1, now: 3 });
    expect(restored.returnedSlots).toMatchObject([{ id: old?.id, kind: "passphrase" }]);
    const aside = restored.setAside ?? "";
    expect(aside).toMatch(/\/home\.before-restore-[\dT-]+Z$/);
    const kept = Object.fromEntries(
      Object.entries(snapshot(aside)).map(([path, hash]) => [path.replace(aside, home), hash]),
    );
    expect(kept).toMatchObject(before);

    await using back = await open(home);
    expect((await back.secrets.list()).map(({ name }) => name)).toEqual(["api/key"]);
    const row = (await back.audit.tail()).find(({ action }) => action === "backup.restore");
    expect(row?.detail).toContain("old home kept as home.before-restore-");
    expect(row?.detail).toContain(`slot ${old?.id} (passphrase) is in force again`);
    expect(row?.detail).toMatch(/in the place of generation 2, row \d+ of its log [0-9a-f]{64}/);
    await using other = await open(aside, "another long one");
    expect(text((await other.secrets.get("later")).value)).toBe("lost");
  });

  test("takes the place of a damaged home", async () => {
    const { home, file, identity } = await backedUp();
    writeFileSync(join(home, "keyslots.json"), "{");
    const restored = await restoreBackup({
      ...{ file, home, opening: { identities: [identity] }, unlock: unlockWith(), force: true },
    });
    expect(restored.returnedSlots).toBeUndefined();
    await using vault = await open(home);
    expect(await vault.secrets.list()).toHaveLength(1);
  });

  test("does not take the place of another vault, even with force", async () => {
    const { folder, file, identity } = await backedUp();
    const home = join(folder, "other");
    await (await create(home)).close();
    const before = snapshot(home);
    await expect(
      restoreBackup({
        ...{ file, home, opening: { identities: [identity] }, unlock: unlockWith(), force: true },
      }),
    ).rejects.toMatchObject({ code: "ERR_CONFLICT", message: /holds vault/ });
    expect(snapshot(home)).toMatchObject(before);
    expect(readdirSync(folder).filter((name) => name.includes("restor"))).toEqual([]);
  });

  test("is restored by one of two at once; the other is told", async () => {
    const { folder, file, identity } = await backedUp();
    const home = join(folder, "to");
    const restore = () =>
      restoreBackup({ file, home, opening: { identities: [identity] }, unlock: unlockWith() });
    const ends = await Promise.allSettled([restore(), restore()]);
    expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const lost = ends.find((end) => end.status === "rejected");
    expect(lost?.reason).toMatchObject({ code: "ERR_CONFLICT" });
    expect(readdirSync(folder).sort()).toEqual(["home", "to", "vault.age"]);
    await (await open(home)).close();
  });

  test("is only tried with dryRun", async () => {
    const { folder, home, file, identity } = await backedUp();
    const before = snapshot(folder);
    const restored = await restoreBackup({
      ...{ file, home, opening: { identities: [identity] }, unlock: unlockWith() },
      ...{ force: true, dryRun: true },
    });
    expect(restored).toMatchObject({ secretCount: 1, retiredDataKeys: 1, suspendedCompanions: 1 });
    expect(restored.returnedSlots).toEqual([]);
    expect(snapshot(folder)).toEqual(before);
  });

  test("needs the right identity and the right passphrase of the vault", async () => {
    const { folder, file, identity } = await backedUp();
    const home = join(folder, "to");
    const other = await newKeys();
    const attempt = (identities: string[], passphrase?: string) =>
      restoreBackup({ file, home, opening: { identities }, unlock: unlockWith(passphrase) });
    const wrong = { code: "ERR_WRONG_PASSPHRASE" };
    await expect(attempt([other.identity])).rejects.toMatchObject(wrong);
    await expect(attempt([identity], "a wrong passphrase")).rejects.toMatchObject(wrong);
    expect(existsSync(home)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes("restoring"))).toEqual([]);
    await attempt([other.identity, identity]);
    expect(existsSync(home)).toBe(true);
  });

  test("opens by a passphrase", async () => {
    const folder = newFolder();
    const vault = await create(join(folder, "home"));
    const file = join(folder, "vault.age");
    const passphrase = utf8("of the bäckup");
    await createBackup({ vault, to: file, sealing: { passphrase }, lango: "1", workFactor: 10 });
    await vault.close();
    expect(await openedBy(file)).toBe("passphrase");
    const manifest = await verifyBackup({ file, opening: { passphrase } });
    expect(manifest.vaultId).toBe(vault.id);
    await expect(
      verifyBackup({ file, opening: { passphrase: utf8("another") } }),
    ).rejects.toMatchObject({ code: "ERR_WRONG_PASSPHRASE" });
  });
});

describe("making a backup", () => {
  test("holds no key file, no passphrase, no socket; the log has its hash", async () => {
    const { home, file, created, identity } = await backedUp();
    expect(modeOf(file)).toBe(0o600);
    expect(await openedBy(file)).toBe("identity");
    expect(created.bytes).toBe(statSync(file).size);
    const manifest = await verifyBackup({ file, opening: { identities: [identity] } });
    expect(manifest).toEqual(created.manifest);
    expect(manifest.entries.map(({ name }) => name)).toEqual([
      ...["keyslots.json", "config.json", "lango.db"],
    ]);
    expect(manifest).toMatchObject({ slotGeneration: 1, lango: "1.2.3", schema: 4 });
    await using vault = await open(home);
    const row = (await vault.audit.tail()).find(({ action }) => action === "backup.create");
    expect(row?.detail).toContain(`sha256 ${created.sha256}, ${created.bytes} bytes`);
    expect(readdirSync(home).filter((name) => name.includes("copy"))).toEqual([]);
  });

  test("never takes the place of a file, and leaves none when it fails", async () => {
    const { folder, home, file, recipient } = await backedUp();
    await using vault = await open(home);
    const before = readFileSync(file);
    await expect(backUp(vault, file, recipient)).rejects.toMatchObject({ code: "ERR_CONFLICT" });
    expect(readFileSync(file)).toEqual(before);
    const to = join(folder, "new.age");
    const controller = new AbortController();
    const stopped = createBackup({
      ...{ vault, to, sealing: { recipients: [recipient] }, lango: "1" },
      ...{ signal: controller.signal, onProgress: () => controller.abort(new Error("enough")) },
    });
    await expect(stopped).rejects.toThrow("enough");
    await expect(backUp(vault, to, "age1nonsense")).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
    expect(readdirSync(folder).sort()).toEqual(["home", "vault.age"]);
    const failure = (await vault.audit.tail()).findLast(({ action }) => action === "backup.create");
    expect(failure).toMatchObject({ outcome: "failure", code: "ERR_INVALID_ARGUMENT" });
  });

  test("keeps an encrypted database encrypted, there and back", async () => {
    const { folder, home, recipient, identity } = await backedUp();
    const vault = await open(home);
    await vault.database.encrypt();
    const file = join(folder, "encrypted.age");
    await backUp(vault, file, recipient);
    await vault.close();
    const opening = { identities: [identity] };
    const restored = await restoreBackup({
      file,
      home,
      opening,
      unlock: unlockWith(),
      force: true,
    });
    expect(restored.returnedSlots).toEqual([]);
    const header = readFileSync(join(home, "lango.db")).subarray(0, 16).toString("latin1");
    expect(header).not.toContain("SQLite format 3");
    await using back = await open(home);
    expect(text((await back.secrets.get("api/key")).value)).toBe("first");
  });

  test("keeps the anchors, which fit the copy", async () => {
    const { folder, home, identity, recipient } = await backedUp();
    const first = await open(home);
    await first.keys.create({ name: "log", type: "signing", algorithm: "ed25519" });
    await first.close();
    const audit = { anchor: "local:log" };
    await (await openVault({ home, unlock: unlockWith(), audit })).close();
    const vault = await open(home);
    const file = join(folder, "anchored.age");
    const { manifest } = await backUp(vault, file, recipient);
    await vault.close();
    expect(manifest.entries.map(({ name }) => name)).toContain("audit-anchors.jsonl");
    const to = join(folder, "to");
    await restoreBackup({
      ...{ file, home: to, opening: { identities: [identity] }, unlock: unlockWith() },
    });
    await using back = await open(to);
    expect(await back.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });
});
