import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { acceptRollback, type Vault } from "../src/index.ts";
import { edit, openKeys } from "./forge.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  quickKdf,
  reopen,
  text,
  withPassphrase,
} from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { checkWhole } from "./rig/whole.ts";

const kept = async (vault: Vault) =>
  (await vault.slots.list()).map(({ id }) => ({
    slotId: id,
    credential: {
      ...({ kind: "passphrase", passphrase: bytes(PASSPHRASE) } as const),
      ...{ kdf: quickKdf(), acceptWeakKdf: true },
    },
  }));

const copyHome = (from: string, to: string): void => {
  mkdirSync(to, { mode: 0o700 });
  cpSync(from, to, { recursive: true });
};

/** A copy of a home as it is when a change of the vault key dies at a stage. */
const diedAt = async (stage: string): Promise<string> => {
  const [home, copy] = [newHome(), newHome()];
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  onStage(stage, () => copyHome(home, copy));
  await (await vault.rekey({ credentials: await kept(vault) })).vault.close();
  expect(existsSync(copy)).toBe(true);
  return copy;
};

test.each([
  [
    "the job",
    "UPDATE jobs SET content = replace(content, '\"compromised\":false', '\"compromised\":true')",
  ],
  ["the vault's row", "UPDATE vault SET created_at = created_at - 1"],
  ["the state of a data key", "UPDATE data_keys SET state = 'decrypt-only'"],
  ["a local key", "UPDATE key_versions SET created_at = created_at - 1"],
])(
  "%s, edited while the vault key is changed, gets no MAC by the end of it",
  async (_, statement) => {
    const home = await diedAt("rekey:renamed");
    edit(home, statement);
    const error = await expectCode(() => reopen(home), "ERR_INTEGRITY");
    expect(error.message).toContain("was changed outside lango");
  },
);

test.each(["rekey:planned", "rekey:renamed"])("a copy from %s opens by itself", async (stage) => {
  const home = await diedAt(stage);
  const vault = await reopen(home);
  expect(text((await vault.secrets.get("a")).value)).toBe("value");
  await checkWhole(vault, home);
});

test("an older keyslots file beside a change that died can be accepted", async () => {
  const [home, old] = [newHome(), newHome()];
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  copyHome(home, old);
  await vault.slots.add({ kind: "env", key: new Uint8Array(32).fill(7) });
  const copy = newHome();
  onStage("rekey:planned", () => copyHome(home, copy));
  const credentials = (await kept(vault)).slice(0, 1);
  const drop = (await vault.slots.list()).slice(1).map(({ id }) => id);
  await (await vault.rekey({ credentials, drop })).vault.close();
  cpSync(`${old}/keyslots.json`, `${copy}/keyslots.json`);
  await expectCode(() => reopen(copy), "ERR_KEYSLOTS_ROLLED_BACK");
  await acceptRollback({ home: copy, unlock: withPassphrase() });
  const again = await reopen(copy);
  expect(text((await again.secrets.get("a")).value)).toBe("value");
  await checkWhole(again, copy);
});

test.each([
  ["a data key", "UPDATE data_keys SET state = 'decrypt-only'"],
  ["a local key", "UPDATE key_versions SET created_at = created_at - 1"],
])("%s that was edited ends the change of the vault key before it begins", async (_, statement) => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  edit(home, statement);
  const before = readFileSync(join(home, "keyslots.json"));
  await expectCode(async () => vault.rekey({ credentials: await kept(vault) }), "ERR_INTEGRITY");
  expect(readFileSync(join(home, "keyslots.json"))).toEqual(before);
  expect(await openKeys(home)).toMatchObject({ keyslots: { generation: 1 } });
});

test("a new vault key while rows are written anew takes the former key along, and not after that", async () => {
  const home = newHome();
  const made = await makeVault(home);
  await made.secrets.set("a", bytes("value"));
  const first = await made.rekey({ credentials: await kept(made), compromised: true });
  const { vault } = await first.vault.rekey({ credentials: await kept(first.vault) });
  const inherited = async (): Promise<string[]> =>
    Object.keys((await openKeys(home)).keyslots.inherited ?? {});
  expect(await inherited()).toEqual(["approvals", "formerRows", "rows"]);
  expect(text((await vault.secrets.get("a")).value)).toBe("value");
  const other = await reopen(home);
  await other.renewRows();
  expect(await inherited()).toEqual(["approvals", "rows"]);
  // This one still knows the former key.
  const { vault: last } = await vault.rekey({ credentials: await kept(vault) });
  expect(await inherited()).toEqual(["approvals", "rows"]);
  expect(text((await last.secrets.get("a")).value)).toBe("value");
  await checkWhole(last, home);
});

test("an epoch that is set back in the head of the log lets nobody write with the old vault key", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const stale = await reopen(home);
  // It has the data key in memory.
  await stale.secrets.set("b", bytes("value"));
  const { vault: now } = await vault.rekey({ credentials: await kept(vault) });
  edit(home, "UPDATE audit_head SET epoch = 1");
  const before = await now.audit.verify({ rows: true });
  const error = await expectCode(() => stale.secrets.set("a", bytes("stale")), "ERR_INTEGRITY");
  expect(error.message).toMatch(/Row \d+ of the log was written with another key/);
  await expectCode(() => stale.secrets.get("a"), "ERR_INTEGRITY");
  // Nor with a row that claims to be of its epoch.
  edit(home, "UPDATE audit_log SET epoch = 1 WHERE seq = (SELECT seq FROM audit_head)");
  await expectCode(() => stale.secrets.delete("a"), "ERR_INTEGRITY");
  edit(home, "UPDATE audit_log SET epoch = 2 WHERE seq = (SELECT seq FROM audit_head)");
  // Those who have the key of now see that it is not theirs.
  await expectCode(() => now.secrets.get("a"), "ERR_LOCKED");
  await expectCode(() => reopen(home), "ERR_LOCKED");
  edit(home, "UPDATE audit_head SET epoch = 2");
  const last = await reopen(home);
  expect(text((await last.secrets.get("a")).value)).toBe("value");
  expect(await last.audit.verify({ rows: true })).toMatchObject({ ok: true });
  expect(before.ok).toBe(true);
});

test("a damaged end of the log stops those who have written, and not whoever opens the vault next", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  edit(home, "UPDATE audit_log SET mac = zeroblob(32) WHERE seq = (SELECT seq FROM audit_head)");
  await expectCode(() => vault.secrets.get("a"), "ERR_INTEGRITY");
  const next = await reopen(home);
  expect(text((await next.secrets.get("a")).value)).toBe("value");
  const { faults } = await next.audit.verify();
  expect(faults).toHaveLength(1);
  expect(faults[0]?.problem).toContain("its MAC differs");
});
