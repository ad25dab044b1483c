import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type Devices, joinPairing, paired, serve } from "./companion-support.ts";
import { addForeignSlot, good, line } from "./provider-support.ts";
import { editSlot } from "./slot-edits.ts";
import { expectOneFault, lango, langoJson, SECRET, vaultHome } from "./support.ts";

// A database that is encrypted shows nobody who is paired: what opens it is in the slots.
const LOCKED = { LANGO_PASSPHRASE: undefined };
const VERIFY = ["audit", "verify"];
const BY_PROVIDER = [...VERIFY, "--unlock-with", "provider"];
const ADD = ["security", "slots", "add", "--kind", "provider"];
const DB_MIGRATE = ["security", "db-migrate", "--yes"];
const ALLOW = ["--allow", "unwrapKey=data"];
const USE = ["run", "--env", "T=api/key", "--", "sh", "-c", `test "$T" = '${SECRET}'`];

interface Made extends Devices {
  readonly slot: { readonly id: string; readonly companion: { id: string; fingerprint: string } };
  /** Nothing that opens it but the companion. */
  readonly locked: { readonly home: string; readonly env: typeof LOCKED };
}

/** Two homes, the agent's database encrypted, with a slot of the companion. */
async function encrypted(): Promise<Made> {
  const devices = await paired(ALLOW);
  const { document } = await langoJson(ADD, { home: devices.agent });
  const locked = { home: devices.agent, env: LOCKED };
  // Who opens it is nobody's consent, and encrypting needs none.
  await good(DB_MIGRATE, locked);
  return { ...devices, slot: document.data.slot, locked };
}

const port = ({ served }: Pick<Devices, "served">): number => Number(new URL(served.url).port);

test("a companion opens an encrypted vault, until it is revoked; what is restored from before is named", async () => {
  const made = await encrypted();
  const { agent: home, locked, slot, served } = made;
  const { document: devices } = await langoJson(["companion", "list"], { home });
  const [{ id, fingerprint }] = devices.data.devices;
  expect(slot.companion).toEqual({ id, fingerprint });
  const opened = await lango(USE, locked);
  expect(opened.code, opened.stderr + served.output()).toBe(0);
  const status = await good(["security", "status"], locked);
  expect(line(status, "would unlock with")).toBe("provider slot rpc:data");
  expectOneFault(
    await lango(["security", "secrets", "get", "api/key", "--reveal"], locked),
    5,
    /provider slot rpc:data/,
  );
  // It cannot take away what nobody knows another way into.
  const revoke = ["companion", "revoke", "phone", "--yes"];
  expectOneFault(await lango(revoke, locked), 9, /opened the vault just now/);
  expect((await lango(USE, locked)).code).toBe(0);
  const keyslots = join(home, "keyslots.json");
  const before = readFileSync(keyslots);
  const revoked = await lango([...revoke, "--unlock-with", "passphrase"], { home });
  expect(revoked.code, revoked.stderr).toBe(0);
  expect(revoked.stderr).toContain(`Slot ${slot.id} (rpc:data) went with it`);
  const { document } = await langoJson(["security", "slots", "list"], { home });
  expect(document.data.slots.map(({ kind }: { kind: string }) => kind)).toEqual(["passphrase"]);
  expectOneFault(await lango([...VERIFY, "--no-input"], locked), 4, /nothing gave/);
  // The companion still answers: it was not revoked there. The slots of then are not those of now.
  writeFileSync(keyslots, before);
  expectOneFault(await lango(VERIFY, locked), 8, /generation \d, an older one/);
  expectOneFault(await lango([...VERIFY, "--unlock-with", "passphrase"], { home }), 8, /older one/);
}, 180_000);

test("nobody there, nobody who answers, and another device at the address: each is named, and the passphrase opens", async () => {
  const made = await encrypted();
  const { agent: home, locked, served, slot } = made;
  const at = port(made);
  const passphraseOpens = async (reason: RegExp): Promise<void> => {
    const opened = await lango(["--verbose", ...VERIFY], { home });
    expect(opened.code, opened.stderr).toBe(0);
    expect(opened.stderr).toMatch(reason);
    expect(opened.stderr).toMatch(/unlocked by LANGO_PASSPHRASE/);
  };
  await served.stop();
  expectOneFault(await lango(BY_PROVIDER, locked), 7, /No companion answers at 127\.0\.0\.1/);
  await passphraseOpens(/not by provider slot rpc:data: No companion answers/);
  const list = ["security", "secrets", "list", "--unlock-with", "provider"];
  expect(await good(list, locked)).toBe("locked: the database is encrypted\n");

  const mute = createServer((socket) => socket.on("error", () => undefined)).listen(
    at,
    "127.0.0.1",
  );
  onTestFinished(() => void mute.close());
  expectOneFault(await lango(BY_PROVIDER, locked), 7, /No channel with 127\.0\.0\.1/);
  mute.close();

  // A device with which the agent was paired once, and which still knows it.
  const evil = await vaultHome();
  await good(["keys", "create", "data", "--type", "encryption"], { home: evil });
  const first = await serve(evil, { pair: (code, url) => joinPairing(home, code, url) });
  await first.stop();
  const { document } = await langoJson(["companion", "list"], { home });
  const devices: Made["slot"]["companion"][] = document.data.devices;
  const other = devices.find(({ id }) => id !== slot.companion.id)!;
  await good(["companion", "revoke", other.id, "--yes"], { home });
  const impostor = await serve(evil, { port: at, args: ALLOW });
  const refused = await lango(BY_PROVIDER, locked);
  expectOneFault(refused, 4, /No source gave/);
  expect(refused.stderr).toMatch(/rpc:data: The other side is not paired, or was revoked/);
  await passphraseOpens(/not by provider slot rpc:data: The other side is not paired/);

  // Whoever may write the file has it dialled. It is asked for its own key alone, which did not wrap this one.
  const keyslots = join(home, "keyslots.json");
  const original = readFileSync(keyslots);
  const { id, fingerprint } = other;
  editSlot(keyslots, slot.id, { companion: { id, fingerprint } });
  const database = readFileSync(join(home, "lango.db"));
  expectOneFault(await lango(BY_PROVIDER, locked), 4, /does not unwrap .*rpc:data/);
  await impostor.see("unwrapKey");
  expectOneFault(await lango([...VERIFY, "--unlock-with", "passphrase"], { home }), 8, /MAC/);
  expect(readFileSync(join(home, "lango.db"))).toEqual(database);
  await impostor.stop();

  // Also where the right one answers: nobody without the vault key wrote that.
  const again = await serve(made.companion, { port: at, args: ALLOW });
  writeFileSync(keyslots, original);
  expect((await lango(USE, locked)).code, again.output()).toBe(0);
  editSlot(keyslots, slot.id, { companion: { ...slot.companion, id: "A".repeat(22) } });
  expectOneFault(await lango(BY_PROVIDER, locked), 8, /MAC/);
}, 240_000);

test("a companion that an older database suspends opens nothing until it is confirmed", async () => {
  const { agent: home, locked } = await encrypted();
  const database = join(home, "lango.db");
  const older = join(home, "older.db");
  copyFileSync(database, older);
  const words = ["security", "slots", "add", "--kind", "master-key-file"];
  await good([...words, "--unlock-with", "passphrase"], { home });
  copyFileSync(older, database);
  const byPassphrase = ["--unlock-with", "passphrase"];
  const doctor = ["doctor", "--fix", "--accept-rollback", "--yes", ...byPassphrase];
  expect((await lango(doctor, { home })).stdout).toMatch(/accepted the older database/);
  const refused = await lango(BY_PROVIDER, locked);
  expectOneFault(refused, 5, /phone, which opened the vault, is suspended/);
  await good(["companion", "confirm", "phone", "--yes", ...byPassphrase], { home });
  await good(BY_PROVIDER, locked);
}, 180_000);

test("a slot that does not say who opens it keeps the database as it is", async () => {
  const { agent: home } = await paired(ALLOW);
  // As an earlier lango made it.
  const id = await addForeignSlot(home, "rpc:data");
  const byPassphrase = ["--unlock-with", "passphrase"];
  const refused = await lango([...DB_MIGRATE, ...byPassphrase], { home });
  expectOneFault(refused, 9, /does not say which device opens it/);
  expect(refused.stderr).toMatch(/slots remove/);
  expect(readFileSync(join(home, "lango.db")).subarray(0, 6).toString()).toBe("SQLite");
  await good(["security", "slots", "remove", id, "--yes", ...byPassphrase], { home });
  await good(ADD, { home });
  await good(DB_MIGRATE, { home, env: LOCKED });
  expect((await lango(USE, { home, env: LOCKED })).code).toBe(0);
}, 120_000);
