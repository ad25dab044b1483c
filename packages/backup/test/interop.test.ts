import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { createBackup, restoreBackup, verifyBackup } from "../src/index.ts";
import { Sqlite } from "./sqlite.ts";
import { ageExtract, backedUp, create, newFolder, open, unlockWith } from "./support.ts";

describe("with the age tool", () => {
  test("a backup opens into a tar archive, as its manifest says, whose database SQLite reads", async () => {
    const age = requireService("age");
    const backed = await backedUp();
    const into = ageExtract(age, backed, backed.file);
    const manifest = JSON.parse(readFileSync(join(into, "manifest.json"), "utf8"));
    expect(manifest).toMatchObject({
      format: "lango-backup",
      version: 1,
      ...backed.created.manifest,
    });
    const names = manifest.entries.map(({ name }: { name: string }) => name);
    expect(readdirSync(into).sort()).toEqual(["manifest.json", ...names].sort());
    for (const { name, size, sha256 } of manifest.entries) {
      const content = readFileSync(join(into, name));
      expect(content.length).toBe(size);
      expect(createHash("sha256").update(content).digest("hex")).toBe(sha256);
    }
    const database = new Sqlite(join(into, "lango.db"), {});
    expect(database.prepare("select name from secrets").all()).toEqual([{ name: "api/key" }]);
    expect(database.prepare("pragma integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    database.close();
    // Nothing in it that a backup must not hold, in the clear or otherwise.
    for (const name of readdirSync(into)) {
      const content = readFileSync(join(into, name));
      for (const secret of ["correct horse battery", "k".repeat(64), "first"]) {
        expect(content.includes(secret), `${secret} in ${name}`).toBe(false);
      }
    }
  });

  test("what age encrypts is restored, also an archive that tar made anew", async () => {
    const age = requireService("age");
    const backed = await backedUp();
    const into = ageExtract(age, backed, backed.file);
    const { entries } = backed.created.manifest;
    const names = ["manifest.json", ...entries.map(({ name }) => name)];
    for (const format of ["ustar", "gnu", "v7"]) {
      const tar = execFileSync("tar", ["-c", `--format=${format}`, "-C", into, ...names]);
      const file = join(backed.folder, `${format}.age`);
      execFileSync(age, ["--encrypt", "-r", backed.recipient, "-o", file], { input: tar });
      const home = join(backed.folder, `home-${format}`);
      const options = { file, home, opening: { identities: [backed.identity] } };
      const restoring = restoreBackup({ ...options, unlock: unlockWith() });
      if (format === "v7") {
        await expect(restoring).rejects.toMatchObject({ code: "ERR_MALFORMED_ENVELOPE" });
        continue;
      }
      await restoring;
      await using vault = await open(home);
      expect(await vault.secrets.list()).toHaveLength(1);
    }
  });

  test("passphrases work both ways", async () => {
    const age = requireService("age");
    const folder = newFolder();
    const vault = await create(join(folder, "home"));
    const file = join(folder, "vault.age");
    const passphrase = utf8("six words of a long passphrase");
    await createBackup({ vault, to: file, sealing: { passphrase }, lango: "1", workFactor: 12 });
    await vault.close();
    const tar = join(folder, "plain.tar");
    onTerminal(`${age} --decrypt -o ${tar} ${file}`, ["six words of a long passphrase"]);
    mkdirSync(join(folder, "into"));
    execFileSync("tar", ["-xf", tar, "-C", join(folder, "into")]);
    expect(readdirSync(join(folder, "into")).sort()).toEqual([
      ...["keyslots.json", "lango.db", "manifest.json"],
    ]);
    const theirs = join(folder, "theirs.age");
    const twice = ["another, longer one", "another, longer one"];
    onTerminal(`${age} --encrypt --passphrase -o ${theirs} ${tar}`, twice);
    const opening = { passphrase: utf8("another, longer one") };
    expect((await verifyBackup({ file: theirs, opening })).vaultId).toBe(vault.id);
  });
});

/** Runs a command that asks its questions on a terminal. */
const onTerminal = (command: string, answers: readonly string[]): void => {
  // Each answer waits for its question: what is typed before it is thrown away.
  const typing = answers.map((answer) => `sleep 1; echo '${answer}'`).join("; ");
  const ran = spawnSync("sh", ["-c", `(${typing}; sleep 1) | script -qec '${command}' /dev/null`], {
    encoding: "utf8",
  });
  expect(ran.status, ran.stdout + ran.stderr).toBe(0);
};
