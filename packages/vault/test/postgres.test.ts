// What the vault promises with files holds with PostgreSQL: the same tests, on a real server.
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { utf8 } from "@lango/crypto-core";
import { openStore } from "@lango/store";
import { beforeAll, describe, expect, test } from "vitest";
import { newDatabaseUrl } from "../../../tooling/vitest/postgres.ts";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import {
  acceptRollback,
  createVault,
  inspectHome,
  openVault,
  readVault,
  type Vault,
} from "../src/index.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  quickKdf,
  reopen,
  storeOf,
  text,
  useStores,
  withPassphrase,
} from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { script } from "./rig/spawn.ts";
import { passphraseOf, URL_VARIABLE } from "./rig/work.ts";

let server = "";
let count = 0;
beforeAll(async () => {
  server = (await newDatabaseUrl()).split("?")[0] ?? "";
}, 60_000);
useStores(() => {
  count += 1;
  return { url: `${server}?schema=v${count}` };
});

await import("./secrets.test.ts");
await import("./rotate-key.test.ts");

const NEW = "another passphrase";
const DURATION_MS = torture(2_000, 60_000);

/** Another machine: a home of its own, and the same database. */
const onAnother = async (home: string, passphrase: string = PASSPHRASE): Promise<Vault> =>
  reopen(newHome(), { ...storeOf(home), passphrase });

describe("slots in the database", () => {
  test("are added, used on another machine, and removed", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const quick = { kdf: quickKdf(), acceptWeakKdf: true };
    const slot = await vault.slots.add({ kind: "passphrase", passphrase: utf8(NEW), ...quick });
    const other = await onAnother(home, NEW);
    expect(await other.slots.list()).toHaveLength(2);
    await vault.slots.remove(slot.id);
    await expectCode(onAnother(home, NEW), "ERR_WRONG_PASSPHRASE");
    await expectCode(vault.slots.remove((await vault.slots.list())[0]?.id ?? ""), "ERR_CONFLICT");
    await vault.slots.changePassphrase({
      oldPassphrase: utf8(PASSPHRASE),
      newPassphrase: utf8(NEW),
      ...quick,
    });
    const status = await (await onAnother(home, NEW)).status();
    expect(status).toMatchObject({ slotGeneration: 4, slotFile: "settled" });
    expect((await vault.audit.verify({ rows: true })).faults).toEqual([]);
  });

  test("change from two machines at once: each change counts, or is told to try again", async () => {
    const home = newHome();
    const machines = [await makeVault(home), await onAnother(home), await onAnother(home)];
    const added = await Promise.all(
      machines.map((vault, index) =>
        vault.slots.add({
          kind: "env",
          key: new Uint8Array(32).fill(index + 1),
          label: `k${index}`,
        }),
      ),
    );
    const slots = await (await onAnother(home)).slots.list();
    expect(slots.map(({ id }) => id)).toEqual(expect.arrayContaining(added.map(({ id }) => id)));
    expect(slots).toHaveLength(4);
  });

  test("brought back alone are older slots; brought back with all rows, an older database", async () => {
    const home = newHome();
    const { store } = storeOf(home);
    const vault = await makeVault(home);
    const raw = await openStore({ url: store?.url ?? "", mode: "open" });
    const [row, before] = [await raw.vault.get(), await raw.keyslots.get()];
    const quick = { kdf: quickKdf(), acceptWeakKdf: true };
    await vault.slots.add({ kind: "passphrase", passphrase: utf8(NEW), ...quick });
    const after = await raw.vault.get();
    if (!row || !before || !after || !store) throw new Error("There is no vault");
    await raw.transaction("full", (tx) => tx.keyslots.replace(before, 2));
    await expectCode(reopen(home), "ERR_KEYSLOTS_ROLLED_BACK");
    await raw.transaction("full", (tx) => tx.vault.update(row, after.mac));
    await expectCode(reopen(home), "ERR_STORE_ROLLED_BACK");
    const locked = await readVault({ home, store });
    expect(await locked.status()).toMatchObject({ slotFile: "newer" });
    await locked.close();
    // A machine that has seen nothing cannot know.
    expect((await (await onAnother(home)).status()).slotGeneration).toBe(1);
    const accepted = await acceptRollback({ home, store, unlock: withPassphrase() });
    expect(accepted).toMatchObject({ older: "store", generation: 3 });
    expect((await (await reopen(home)).status()).slotGeneration).toBe(3);
    await raw.close();
  });

  test("are not changed over a vault row that was changed meanwhile", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const before = await vault.slots.list();
    const { store } = storeOf(home);
    const raw = await openStore({ url: store?.url ?? "", mode: "open" });
    const row = (await raw.vault.get())!;
    const [changed, made] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    onStage("slots:made", made.resolve);
    const changing = raw.transaction("full", async (tx) => {
      await tx.vault.update({ ...row, mac: new Uint8Array(32) }, row.mac);
      changed.resolve();
      await made.promise;
    });
    await changed.promise;
    const adding = vault.slots.add({ kind: "env", key: new Uint8Array(32).fill(1) });
    await expectCode(adding, "ERR_CONFLICT");
    await changing;
    expect(await vault.slots.list()).toEqual(before);
    await raw.close();
  });

  test("and a pin that somebody edited is told from a database from earlier", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const path = join(home, "pins.json");
    const pins = JSON.parse(readFileSync(path, "utf8"));
    pins[vault.id].generation = 9;
    writeFileSync(path, JSON.stringify(pins));
    const error = await expectCode(reopen(home), "ERR_INTEGRITY");
    expect(error.message).toContain("pins.json was not written with this vault's key");
    writeFileSync(path, "{");
    await expectCode(reopen(home), "ERR_INTEGRITY");
  });
});

describe("a vault in a database", () => {
  test("is made once, and is not there before", async () => {
    const home = newHome();
    const { store } = storeOf(home);
    expect(await inspectHome(home, store)).toBe("absent");
    await expectCode(reopen(home), "ERR_LOCKED");
    const vault = await makeVault(home);
    expect(await inspectHome(home, store)).toBe("ready");
    expect(await inspectHome(home)).toBe("absent");
    await expectCode(makeVault(home), "ERR_CONFLICT");
    await expectCode(reopen(home, { passphrase: "not the passphrase" }), "ERR_WRONG_PASSPHRASE");
    await vault.secrets.set("a", bytes("1"));
    const again = await reopen(home);
    expect(text((await again.secrets.get("a")).value)).toBe("1");
    const events = await again.audit.tail(20);
    expect(events).toContainEqual(expect.objectContaining({ code: "ERR_WRONG_PASSPHRASE" }));
    await again.close();
    await expectCode(again.secrets.get("a"), "ERR_CLOSED");
  });

  test("is not made beside one in the files of the home", async () => {
    const home = newHome();
    const { store } = storeOf(home);
    const quick = { kdf: quickKdf(), acceptWeakKdf: true };
    const credentials = [{ kind: "passphrase" as const, passphrase: utf8(PASSPHRASE) }];
    const files = await createVault({ home, credentials, ...quick });
    await expectCode(makeVault(home), "ERR_CONFLICT");
    expect(await inspectHome(home, store)).toBe("absent");
    await files.close();
  });

  test("is written and read by processes of two machines: nothing lost, one chain", {
    timeout: 600_000,
  }, async () => {
    const home = newHome();
    const { store } = storeOf(home);
    const vault = await makeVault(home, passphraseOf(0));
    await vault.secrets.set("shared", bytes("0"));
    await vault.keys.create({ name: "log", type: "signing", algorithm: "ed25519" });
    const env = { ...process.env, [URL_VARIABLE]: store?.url };
    const homes = [home, home, newHome(), newHome()];
    const reports = await Promise.all(
      homes.map(async (each, index) => {
        const args = [script("worker"), each, `${index}`, `${DURATION_MS}`];
        const { stdout } = await promisify(execFile)(
          process.execPath,
          ["--conditions=@lango/source", ...args],
          { env },
        );
        return JSON.parse(stdout) as { written: Record<string, string>; increments: number };
      }),
    );
    for (const { written } of reports) {
      for (const [name, value] of Object.entries(written)) {
        expect(text((await vault.secrets.get(name)).value)).toBe(value);
      }
    }
    const increments = reports.reduce((sum, report) => sum + report.increments, 0);
    expect(increments).toBeGreaterThan(0);
    expect(text((await vault.secrets.get("shared")).value)).toBe(String(increments));
    expect((await vault.audit.verify({ rows: true })).faults).toEqual([]);
    await expectCode(openVault({ home, unlock: withPassphrase() }), "ERR_LOCKED");
    report(
      `4 processes of two machines for ${DURATION_MS / 1000} s`,
      new Map([["increments", increments]]),
    );
  });
});
