import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

const kept = async (vault: Vault) =>
  (await vault.slots.list()).map(({ id }) => ({
    slotId: id,
    credential: { kind: "passphrase", passphrase: bytes(PASSPHRASE) } as const,
  }));

const TOKEN = "dGhpcyBpcyBhIGdvb2QgdG9rZW4h";
const given = (value: string, name = "ADMIN_TOKEN") => [{ name, secret: bytes(value) }];

test("a value that changes is noted with its date and in the log, by its name alone", async () => {
  const home = newHome();
  let now = 1_000;
  const clock = () => now;
  const vault = await makeVault(home, undefined, { clock });
  expect(await vault.fingerprints.note([...given(TOKEN), ...given("r", "REDIS_URL")])).toEqual([]);
  now = 2_000;
  expect(await vault.fingerprints.note(given(TOKEN))).toEqual([]);
  expect(await vault.fingerprints.list()).toEqual([
    { name: "ADMIN_TOKEN", since: 1_000 },
    { name: "REDIS_URL", since: 1_000 },
  ]);
  now = 3_000;
  expect(await vault.fingerprints.note(given("another token, quite new"))).toEqual(["ADMIN_TOKEN"]);
  expect(await vault.fingerprints.list()).toEqual([
    { name: "ADMIN_TOKEN", since: 3_000 },
    { name: "REDIS_URL", since: 1_000 },
  ]);
  const events = (await vault.audit.tail(50)).filter(({ action }) =>
    action.startsWith("configured"),
  );
  expect(events.map(({ action, target }) => [action, target])).toEqual([
    ["configured.first-seen", "ADMIN_TOKEN"],
    ["configured.first-seen", "REDIS_URL"],
    ["configured.change", "ADMIN_TOKEN"],
  ]);
  expect((await vault.audit.verify({ rows: true })).faults).toEqual([]);
  await vault.close();
  const again = await reopen(home);
  expect(await again.fingerprints.note(given("another token, quite new"))).toEqual([]);
  await again.close();
  for (const name of readdirSync(home)) {
    if (name === "run") continue;
    expect(readFileSync(join(home, name)).includes(TOKEN)).toBe(false);
  }
});

test("nothing is written while nothing changes", async () => {
  const vault = await makeVault(newHome());
  await vault.fingerprints.note(given(TOKEN));
  const { head } = await vault.audit.verify();
  await vault.fingerprints.note(given(TOKEN));
  expect((await vault.audit.verify()).head).toBe(head);
});

test("after a rekey what was not given for a while has not changed; what changes then is noted", async () => {
  const home = newHome();
  let now = 1_000;
  const old = await makeVault(home, undefined, { clock: () => now });
  await old.fingerprints.note([...given(TOKEN), ...given("r", "REDIS_URL")]);
  const { vault } = await old.rekey({ credentials: await kept(old), compromised: true });
  await vault.renewRows();
  now = 2_000;
  // One command is given the one, the next one both.
  expect(await vault.fingerprints.note(given("r", "REDIS_URL"))).toEqual([]);
  expect(await vault.fingerprints.note([...given(TOKEN), ...given("r", "REDIS_URL")])).toEqual([]);
  expect((await vault.fingerprints.list()).map(({ since }) => since)).toEqual([1_000, 1_000]);
  now = 3_000;
  expect(await vault.fingerprints.note(given("another token, quite new"))).toEqual(["ADMIN_TOKEN"]);
  expect(await vault.fingerprints.note(given("s", "REDIS_URL"))).toEqual(["REDIS_URL"]);
});

test("two processes at once lose nothing", async () => {
  const home = newHome();
  const one = await makeVault(home);
  const two = await reopen(home);
  await Promise.all([
    one.fingerprints.note(given(TOKEN)),
    two.fingerprints.note(given("x", "REDIS_URL")),
  ]);
  expect((await one.fingerprints.list()).map(({ name }) => name).sort()).toEqual([
    "ADMIN_TOKEN",
    "REDIS_URL",
  ]);
});

test("a date that was set back in the database is found out", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.fingerprints.note(given(TOKEN));
  await vault.close();
  const database = new Sqlite(join(home, "lango.db"), {});
  database.exec(
    `update policies set content = replace(content, '"since":', '"since":9') where subject = 'boot/fingerprints'`,
  );
  database.close();
  const again = await reopen(home);
  await expectCode(again.fingerprints.list(), "ERR_INTEGRITY");
  await expectCode(again.fingerprints.note(given(TOKEN)), "ERR_INTEGRITY");
});

test("while the database is locked by others nothing is noted, and the command goes on", async () => {
  const home = newHome();
  await (await makeVault(home)).close();
  const vault = await reopen(home, { busyTimeoutMs: 50 });
  const other = new Sqlite(join(home, "lango.db"), {});
  other.exec("begin immediate");
  expect(await vault.fingerprints.note(given(TOKEN))).toEqual([]);
  other.exec("rollback");
  other.close();
  expect(await vault.fingerprints.list()).toEqual([]);
  await vault.fingerprints.note(given(TOKEN));
  expect(await vault.fingerprints.list()).toHaveLength(1);
});
