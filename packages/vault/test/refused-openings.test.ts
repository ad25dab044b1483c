import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, quickKdf, reopen } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

const NEW = "another passphrase";

test("an opening that fails after the right passphrase is in the log at the next one, with its code", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  const [file, database] = [join(home, "keyslots.json"), join(home, "lango.db")];
  copyFileSync(file, join(home, "old.json"));
  await vault.slots.changePassphrase({
    oldPassphrase: bytes(PASSPHRASE),
    newPassphrase: bytes(NEW),
    kdf: quickKdf(),
    acceptWeakKdf: true,
  });
  await vault.close();

  copyFileSync(file, join(home, "new.json"));
  copyFileSync(join(home, "old.json"), file);
  await expectCode(() => reopen(home), "ERR_KEYSLOTS_ROLLED_BACK");
  copyFileSync(join(home, "new.json"), file);

  const thief = new Sqlite(database, {});
  const { mac } = thief.prepare("SELECT mac FROM vault").get() as { mac: Uint8Array };
  thief.prepare("UPDATE vault SET mac = zeroblob(32)").run();
  await expectCode(() => reopen(home, { passphrase: NEW }), "ERR_INTEGRITY");
  thief.prepare("UPDATE vault SET mac = ?").run(mac);
  thief.close();

  copyFileSync(database, join(home, "kept.db"));
  rmSync(database);
  await expectCode(() => reopen(home, { passphrase: NEW }), "ERR_CONFLICT");
  copyFileSync(join(home, "kept.db"), database);

  const open = await reopen(home, { passphrase: NEW });
  const failures = (await open.audit.tail(50)).filter(({ outcome }) => outcome === "failure");
  expect(failures.map(({ code }) => code)).toEqual([
    "ERR_KEYSLOTS_ROLLED_BACK",
    "ERR_INTEGRITY",
    "ERR_CONFLICT",
  ]);
  for (const failure of failures) {
    expect(failure).toMatchObject({ action: "vault.unlock", authenticated: false });
  }
});

test("the status of an open vault shows no row that was changed outside", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  const thief = new Sqlite(join(home, "lango.db"), {});
  thief.prepare("UPDATE data_keys SET degraded = 1").run();
  await expectCode(() => vault.status(), "ERR_INTEGRITY");
  thief.prepare("UPDATE data_keys SET degraded = 0").run();
  expect(await vault.status()).toMatchObject({ degraded: false });
  thief.prepare("UPDATE vault SET created_at = 0").run();
  await expectCode(() => vault.status(), "ERR_INTEGRITY");
  thief.close();
});
