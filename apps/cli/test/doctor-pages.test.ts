import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { openVault } from "@lango/vault";
import { describe, expect, test } from "vitest";
import { resolve } from "../src/cli/resolve.ts";
import { backupBoxes } from "../src/doctor/backup.ts";
import { incidentSteps } from "../src/doctor/incident.ts";
import { rotationLines } from "../src/doctor/rotation.ts";
import { COMMANDS } from "../src/table/index.ts";
import {
  expectOneFault,
  folder,
  lango,
  langoJson,
  PASSPHRASE,
  sharedVaultHome,
  vaultHome,
} from "./support.ts";

const TOKEN = "dGhpcyBpcyBhIGdvb2QgdG9rZW4h";
const DAY = 24 * 60 * 60 * 1000;

describe("doctor --check", () => {
  test("looks at every variable, and says in one document what is wrong", async () => {
    const home = await sharedVaultHome();
    const sound = await lango(["doctor", "--check"], { home, env: { ADMIN_TOKEN: TOKEN } });
    expect(sound.code, sound.stderr).toBe(0);
    const env = { ADMIN_TOKEN: "secretvalue", LANGO_GATEWAY_TOKEN: "x".repeat(30) };
    const ran = await langoJson(["doctor", "--check"], { home, env });
    expect(ran.code).toBe(78);
    expect(ran.document).toMatchObject({ ok: false, error: { code: "ERR_CONFIG" } });
    expect((ran.document.error as never as { faults: unknown[] }).faults).toEqual([
      expect.objectContaining({ variables: ["ADMIN_TOKEN"] }),
      expect.objectContaining({ variables: ["LANGO_GATEWAY_TOKEN"] }),
    ]);
    expect(ran.stdout + ran.stderr).not.toContain("secretvalue");
    // The doctor himself has it among his findings.
    const { document, code } = await langoJson(["doctor"], { home, env });
    expect(code).toBe(10);
    expect(document.data.checks).toContainEqual(
      expect.objectContaining({ check: "variables", ok: false }),
    );
  });

  test("one page at a time", async () => {
    const home = await sharedVaultHome();
    expectOneFault(
      await lango(["doctor", "--check", "--backup"], { home }),
      2,
      /do not go together/,
    );
    expectOneFault(
      await lango(["doctor", "--fix", "--rotation"], { home }),
      2,
      /do not go together/,
    );
  });
});

describe("doctor --rotation", () => {
  test("shows since when each is what it is, and what is overdue", async () => {
    const home = await vaultHome();
    const env = { ADMIN_TOKEN: TOKEN, REDIS_URL: "redis://:hunter2hunter2@redis:6379" };
    const fresh = await langoJson(["doctor", "--rotation"], { home, env });
    expect(fresh.code, fresh.stderr).toBe(0);
    const { routine } = fresh.document.data;
    expect(routine.map(({ what, state }: Record<string, string>) => [what, state])).toEqual([
      ["ADMIN_TOKEN", "ok"],
      ["AGENT_SERVER_TOKEN", "unknown"],
      ["Redis password", "ok"],
      ["database password", "unknown"],
    ]);
    expect(fresh.stdout).not.toContain("hunter2");
    // A token that was first seen long ago; Redis has another password since.
    const old = await vaultHome();
    const long = Date.now() - 91 * DAY;
    const vault = await openVault({
      home: old,
      clock: () => long,
      unlock: async (slots) => ({
        credential: {
          kind: "passphrase",
          source: "test",
          secret: utf8(PASSPHRASE),
          ambient: false,
          slotIds: slots.map(({ id }) => id),
        },
        skipped: [],
      }),
    });
    await vault.fingerprints.note([
      { name: "ADMIN_TOKEN", secret: utf8(TOKEN) },
      { name: "REDIS_URL", secret: utf8("the one before") },
    ]);
    await vault.close();
    const overdue = await langoJson(["doctor", "--rotation"], { home: old, env });
    expect(overdue.code).toBe(10);
    expect(overdue.document.data.overdue).toEqual(["ADMIN_TOKEN"]);
    const changes = (await langoJson(["audit", "tail"], { home: old })).document.data.events.filter(
      ({ action }: { action: string }) => action === "configured.change",
    );
    expect(changes.map(({ target }: { target: string }) => target)).toEqual(["REDIS_URL"]);
    expect((await lango(["doctor", "--rotation"], { home: old, env })).stdout).toMatch(
      /^\[!\] +ADMIN_TOKEN/m,
    );
  });

  test("knows the token of the settings, too", async () => {
    const home = await vaultHome();
    const set = ["settings", "set", "gateway.auth.token"];
    expect((await lango([...set, "gateway-token-0123456789abcdef"], { home })).code).toBe(0);
    const { document } = await langoJson(["doctor", "--rotation"], { home });
    expect(document.data.routine.at(-1)).toMatchObject({
      ...{ what: "LANGO_GATEWAY_TOKEN", state: "no schedule", since: expect.any(String) },
    });
  });

  test("counts a quarter to the day", () => {
    const [line] = rotationLines([{ name: "ADMIN_TOKEN", since: 0 }], 90 * DAY - 1);
    expect(line).toMatchObject({ state: "ok", dueAt: new Date(90 * DAY).toISOString() });
    expect(rotationLines([{ name: "ADMIN_TOKEN", since: 0 }], 90 * DAY)[0]?.state).toBe("overdue");
    expect(rotationLines([{ name: "ENCRYPTION_KEY", since: 0 }], 900 * DAY).at(-1)).toMatchObject({
      what: "ENCRYPTION_KEY",
      state: "no schedule",
    });
  });
});

/** What is printed to be typed has to be a command. */
const expectCommands = (commands: readonly string[]): void => {
  for (const command of commands) {
    if (!command.startsWith("lango ")) continue;
    const words = command.split(" ").slice(1);
    expect(resolve(COMMANDS, words), command).toHaveProperty("command");
  }
};

test("doctor --incident gives steps with commands that exist, without a vault", async () => {
  const { document, code } = await langoJson(["doctor", "--incident"], {
    home: join(folder(), "none"),
  });
  expect(code).toBe(0);
  expect(document.data.steps).toEqual(JSON.parse(JSON.stringify(incidentSteps())));
  for (const { commands } of incidentSteps()) {
    expect(commands.length).toBeGreaterThan(0);
    expectCommands(commands);
  }
});

describe("doctor --backup", () => {
  const facts = (more: Partial<Parameters<typeof backupBoxes>[0]>) => ({
    ...{ home: folder(), env: {}, folder: folder(), slots: [], lastBackup: undefined, ...more },
  });
  const states = (more: Partial<Parameters<typeof backupBoxes>[0]>) =>
    backupBoxes(facts(more)).map(({ state }) => state);

  test("a fresh vault has no backup, which is exit 10; needs no passphrase", async () => {
    const home = await sharedVaultHome();
    const env = { LANGO_PASSPHRASE: undefined };
    const { document, code } = await langoJson(["doctor", "--backup"], { home, env });
    expect(code).toBe(10);
    const { boxes } = document.data;
    expect(boxes.map(({ state }: { state: string }) => state)).toEqual([
      "unknown",
      "missing",
      "unknown",
      "done",
    ]);
    for (const { commands } of boxes) expectCommands(commands);
  });

  test("recovery words and a backup in the log are what it asks for", () => {
    const slots = [{ kind: "recovery" as const }];
    expect(states({ slots, lastBackup: 1 })[1]).toBe("done");
    expect(states({ slots })[1]).toBe("missing");
    expect(states({ lastBackup: 1 })[1]).toBe("missing");
  });

  test("a key beside the data is no key in a manager; one of a provider is", () => {
    const home = folder();
    writeFileSync(join(home, "master.key"), "x");
    expect(states({ home })[0]).toBe("missing");
    expect(states({ slots: [{ kind: "provider" }] })[0]).toBe("done");
    expect(states({ env: { ENCRYPTION_KEY_FILE: "/run/secrets/key" } })[0]).toBe("done");
  });

  test("a file in a Git work tree comes with the command that shows whether Git ignores it", () => {
    const tree = folder();
    execFileSync("git", ["init", "-q", tree]);
    writeFileSync(join(tree, ".env"), "ENCRYPTION_KEY=x\n");
    const box = backupBoxes(facts({ folder: tree }))[3]!;
    expect(box.state).toBe("unknown");
    expect(() => execFileSync("sh", ["-c", box.commands[0]!])).toThrow();
    writeFileSync(join(tree, ".gitignore"), ".env\n");
    expect(execFileSync("sh", ["-c", box.commands[0]!]).toString()).toContain(".gitignore");
    rmSync(join(tree, ".env"));
    expect(backupBoxes(facts({ folder: tree }))[3]?.state).toBe("done");
  });
});
