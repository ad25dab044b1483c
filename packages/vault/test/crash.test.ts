import { existsSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { isCryptoError } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { inspectHome, openVault } from "../src/index.ts";
import { bytes, newHome, text } from "./helpers.ts";
import { createKills, last } from "./rig/kills.ts";
import { runAndKill } from "./rig/spawn.ts";
import { checkWhole } from "./rig/whole.ts";
import { create, isEncrypted, open, passphraseOf, unlockWith } from "./rig/work.ts";

/** Every stage of a job: the child is killed in each of them once, and then at random moments. */
const STAGES = {
  onboard: [
    "onboard:database",
    "onboard:rows",
    "onboard-backup:written",
    "onboard-backup:renamed",
    "onboard:written",
    "onboard:renamed",
    "onboard:ready",
  ],
  secrets: ["secret:sealed", "secret:written", "secret:audited"],
  anchors: ["anchor:committed", "anchor:written"],
  passphrase: [
    "slots:made",
    "slots:pending",
    "slots:written",
    "slots:renamed",
    "slots:current",
    "slots-backup:written",
    "slots-backup:renamed",
  ],
} as const;

const { kills, checkKilled } = createKills(STAGES);

describe("kill -9", () => {
  test("while onboarding: no vault, a whole one, or one that is made anew", {
    timeout: 3_600_000,
  }, async () => {
    for (const { killAt, afterMs } of kills(STAGES.onboard, 300)) {
      const base = newHome();
      const killed = await runAndKill(
        ["onboard", base, killAt],
        afterMs === undefined ? {} : { afterMs },
      );
      checkKilled("onboard", killed, killAt);
      const [done, begun] = [last(killed.lines, "done"), last(killed.lines, "begin")];
      for (let step = Math.max(0, begun - 1); step <= begun; step += 1) {
        const home = `${base}-${step}`;
        const state = existsSync(home) ? await inspectHome(home) : "absent";
        if (step <= done) expect(state).toBe("ready");
        expect(["absent", "half-made", "ready"]).toContain(state);
        if (state !== "ready") await (await create(home, undefined, isEncrypted(step))).close();
        const vault = await open(home);
        expect(vault.database.status().encrypted).toBe(isEncrypted(step));
        await vault.secrets.set("a", bytes("v"));
        expect(text((await vault.secrets.get("a")).value)).toBe("v");
        await checkWhole(vault, home);
        await vault.close();
      }
      expect(readdirSync(dirname(base)).length).toBeGreaterThan(0);
    }
  });

  test("while writing secrets: what was confirmed is there, the rest as before", {
    timeout: 3_600_000,
  }, async () => {
    // In turn: one in plaintext, one that is encrypted.
    const homes = await Promise.all(
      [false, true].map(async (encrypted) => {
        const home = newHome();
        const first = await create(home, undefined, encrypted);
        await first.secrets.set("earlier", bytes("stays"));
        await first.close();
        return { home, values: new Map<string, string>() };
      }),
    );
    for (const [turn, { killAt, afterMs }] of kills(STAGES.secrets, 300).entries()) {
      const { home, values } = homes[turn % homes.length]!;
      const killed = await runAndKill(
        ["secrets", home, killAt],
        afterMs === undefined ? {} : { afterMs },
      );
      checkKilled("secrets", killed, killAt);
      const [done, begun] = [last(killed.lines, "done"), last(killed.lines, "begin")];
      for (let step = 0; step <= done; step += 1) values.set(`loop/${step % 7}`, `value ${step}`);
      const vault = await open(home);
      expect(text((await vault.secrets.get("earlier")).value)).toBe("stays");
      for (const { name } of await vault.secrets.list()) {
        const value = text((await vault.secrets.get(name)).value);
        // The step under way may have been committed before it could be confirmed.
        if (begun > done && name === `loop/${begun % 7}` && value === `value ${begun}`)
          values.set(name, value);
        if (name !== "earlier") expect(value).toBe(values.get(name));
      }
      expect((await vault.secrets.list()).length).toBe(values.size + 1);
      await checkWhole(vault, home);
      await vault.close();
    }
  });

  test("while anchoring: the log and the anchors outside it fit, and the next one covers all", {
    timeout: 600_000,
  }, async () => {
    const home = newHome();
    const first = await create(home);
    await first.keys.create({ name: "log", type: "signing", algorithm: "ed25519" });
    await first.close();
    for (const { killAt, afterMs } of kills(STAGES.anchors, 300)) {
      const killed = await runAndKill(
        ["anchors", home, killAt],
        afterMs === undefined ? {} : { afterMs },
      );
      checkKilled("anchors", killed, killAt);
      const audit = { anchor: "local:log" };
      const vault = await openVault({ home, unlock: unlockWith(passphraseOf(0)), audit });
      await checkWhole(vault, home);
      await vault.close();
      const after = await open(home);
      expect(await after.audit.verify()).toMatchObject({ ok: true, unanchored: 1 });
      await after.close();
    }
  });

  test("while changing the passphrase: the old one or the new one opens, never neither", {
    timeout: 3_600_000,
  }, async () => {
    const home = newHome();
    const first = await create(home);
    await first.secrets.set("a", bytes("v"));
    await first.close();
    let current = 0;
    for (const { killAt, afterMs } of kills(STAGES.passphrase, 400)) {
      const killed = await runAndKill(["passphrase", home, killAt], {
        env: { RIG_STEP: String(current) },
        ...(afterMs === undefined ? {} : { afterMs }),
      });
      checkKilled("passphrase", killed, killAt);
      const done = last(killed.lines, "done");
      const confirmed = done < 0 ? current : done + 1;
      const opened: number[] = [];
      for (const step of [confirmed, confirmed + 1]) {
        const vault = await open(home, passphraseOf(step)).catch((error: unknown) => {
          if (isCryptoError(error) && error.code === "ERR_WRONG_PASSPHRASE") return undefined;
          throw error;
        });
        if (!vault) continue;
        opened.push(step);
        expect(text((await vault.secrets.get("a")).value)).toBe("v");
        await checkWhole(vault, home);
        await vault.close();
      }
      expect(opened).toHaveLength(1);
      current = opened[0] ?? Number.NaN;
    }
  });
});
