import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openStore } from "@lango/store";
import { describe, expect, test } from "vitest";
import { inspectHome } from "../src/index.ts";
import { expectCode, makeVault, newHome, reopen } from "./helpers.ts";

const makeClosed = async (): Promise<string> => {
  const home = newHome();
  await (await makeVault(home)).close();
  return home;
};

const pipe = (path: string): void => {
  rmSync(path, { force: true });
  execFileSync("mkfifo", ["-m", "600", path]);
};

describe("a named pipe holds nobody for ever", () => {
  test("in the place of keyslots.json", async () => {
    const home = await makeClosed();
    pipe(join(home, "keyslots.json"));
    expect((await expectCode(() => reopen(home), "ERR_CONFIG")).message).toContain(
      "no regular file",
    );
    expect(await inspectHome(home)).toMatchObject({ damaged: { code: "ERR_CONFIG" } });
  });

  test("in the place of keyslots.bak.json, which is written anew", async () => {
    const home = await makeClosed();
    const backup = join(home, "keyslots.bak.json");
    pipe(backup);
    await reopen(home);
    expect(readFileSync(backup)).toEqual(readFileSync(join(home, "keyslots.json")));
  });

  test("in the place of unlock-failures.jsonl, for a wrong passphrase and the right one", async () => {
    const home = await makeClosed();
    const failures = join(home, "unlock-failures.jsonl");
    pipe(failures);
    await expectCode(() => reopen(home, { passphrase: "wrong horse" }), "ERR_WRONG_PASSPHRASE");
    await reopen(home);
    expect(existsSync(failures)).toBe(false);
  });
});

describe("noted failures never lock the owner out", () => {
  const lastFold = { action: "vault.fold-unlock-failures", outcome: "failure" };

  test.for(["unlock-failures.jsonl", "unlock-failures.jsonl.folding"])(
    "a folder named %s: opens, and the log says so",
    async (name) => {
      const home = await makeClosed();
      await expectCode(() => reopen(home, { passphrase: "wrong horse" }), "ERR_WRONG_PASSPHRASE");
      rmSync(join(home, name), { force: true });
      mkdirSync(join(home, name));
      const vault = await reopen(home);
      expect((await vault.audit.tail(2))[0]).toMatchObject({ ...lastFold, code: "ERR_CONFIG" });
      expect((await vault.audit.tail(2))[0]?.detail).toContain(name);
    },
  );

  test("a lock that another process holds: opens at once, and folds the next time", async () => {
    const home = await makeClosed();
    await expectCode(() => reopen(home, { passphrase: "wrong horse" }), "ERR_WRONG_PASSPHRASE");
    await using store = await openStore({ file: join(home, "lango.db"), mode: "open" });
    const release = Promise.withResolvers<void>();
    const held = store.withLock(() => release.promise);
    await (await reopen(home)).close();
    expect(existsSync(join(home, "unlock-failures.jsonl"))).toBe(true);
    release.resolve();
    await held;
    const vault = await reopen(home);
    expect((await vault.audit.tail(2))[0]).toMatchObject({ code: "ERR_WRONG_PASSPHRASE" });
  });
});

describe("what the hints say", () => {
  const hintOf = async (home: string, code: string): Promise<string | undefined> =>
    (await expectCode(() => reopen(home), code)).context.hint;

  test("keyslots of a newer version: update, not restore", async () => {
    const home = await makeClosed();
    const path = join(home, "keyslots.json");
    writeFileSync(path, readFileSync(path, "utf8").replace('"version": 1', '"version": 2'));
    expect(await hintOf(home, "ERR_CONFLICT")).toBe("Update lango");
  });

  test("keyslots.json lost: its copy is named when it is of this vault", async () => {
    const home = await makeClosed();
    const [file, copy] = [join(home, "keyslots.json"), join(home, "keyslots.bak.json")];
    rmSync(file);
    expect(await hintOf(home, "ERR_CONFLICT")).toContain(`${copy} is a copy`);
    writeFileSync(copy, "{");
    expect(await hintOf(home, "ERR_CONFLICT")).not.toContain("copy");
    renameSync(join(await makeClosed(), "keyslots.json"), copy);
    expect(await hintOf(home, "ERR_CONFLICT")).not.toContain("copy");
  });
});
