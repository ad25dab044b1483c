import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import type { Vault } from "@lango/vault";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { onTestFinished } from "vitest";
import { type CreatedBackup, createBackup } from "../src/index.ts";
import { create, PASSPHRASE } from "./rig/vaults.ts";

export { create, open, PASSPHRASE, unlockWith } from "./rig/vaults.ts";

/** A folder of its own for a test. */
export const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "lango-backup-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

export interface Keys {
  readonly identity: string;
  readonly recipient: string;
}
export const newKeys = async (): Promise<Keys> => {
  const identity = await generateIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
};

/** A vault with a secret, a device, a grant and a config, its backup, and the keys of that. */
export interface Backed extends Keys {
  readonly folder: string;
  readonly home: string;
  readonly file: string;
  readonly created: CreatedBackup;
}
export const CONFIG = '{"audit":{"onFailure":"spool"}}\n';
export const DEVICE = "a".repeat(22);

export const backedUp = async (): Promise<Backed> => {
  const folder = newFolder();
  const home = join(folder, "home");
  const keys = await newKeys();
  const vault = await create(home);
  await vault.secrets.set("api/key", utf8("first"));
  await vault.companions.add({
    ...{ id: DEVICE, name: "phone", role: "companion" },
    fingerprint: "f".repeat(43),
  });
  writeFileSync(join(home, "config.json"), CONFIG, { mode: 0o600 });
  writeFileSync(join(home, "passphrase"), `${PASSPHRASE}\n`, { mode: 0o600 });
  writeFileSync(join(home, "master.key"), "k".repeat(64), { mode: 0o600 });
  mkdirSync(join(home, "run"), { mode: 0o700 });
  const file = join(folder, "vault.age");
  const created = await backUp(vault, file, keys.recipient);
  await vault.close();
  return { folder, home, file, created, ...keys };
};

export const backUp = (vault: Vault, to: string, recipient: string): Promise<CreatedBackup> =>
  createBackup({ vault, to, sealing: { recipients: [recipient] }, lango: "1.2.3" });

/** The name and hash of every file below a folder. */
export const snapshot = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path, createHash("sha256").update(readFileSync(path)).digest("hex")]),
  );

/** Opens a backup with the real age and tar into a folder. */
export const ageExtract = (age: string, { folder, identity }: Backed, file: string): string => {
  const key = join(folder, "key.txt");
  writeFileSync(key, `${identity}\n`, { mode: 0o600 });
  const into = join(folder, `extracted-${readdirSync(folder).length}`);
  mkdirSync(into);
  const tar = execFileSync(age, ["--decrypt", "-i", key, file], { maxBuffer: 2 ** 28 });
  execFileSync("tar", ["-x", "-C", into], { input: tar });
  return into;
};
