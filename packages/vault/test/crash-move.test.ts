import { describe, expect, test } from "vitest";
import { newDatabaseUrl } from "../../../tooling/vitest/postgres.ts";
import { expectCode, newHome, text } from "./helpers.ts";
import { createKills, last } from "./rig/kills.ts";
import { moveOn, openAt } from "./rig/move.ts";
import { runAndKill } from "./rig/spawn.ts";
import { create } from "./rig/work.ts";

const BOTH = ["begun", "copy", "verify", "copied", "ending", "ended", "live", "switched"];
const TO_FILES = ["backup:written", "backup:renamed", "slots:written", "slots:renamed"];

const STAGES: readonly string[] = [
  ...BOTH.flatMap((stage) => [`move:${stage}>postgres`, `move:${stage}>home`]),
  ...TO_FILES.map((stage) => `move-${stage}>home`),
];

const { kills, checkKilled } = createKills({ "store migrate": STAGES });

describe("kill -9", () => {
  test.each([true, false])(
    "between the end of the old place and the opening of the new one, encrypted %s, is ended with another wish",
    async (encrypted) => {
      const home = newHome();
      const url = await newDatabaseUrl();
      const first = await create(home);
      await first.secrets.set("earlier", new Uint8Array(5000).fill(1));
      await first.close();
      await moveOn(home, url);
      const killed = await runAndKill(["move", home, "move:ended>home"], {
        env: { RIG_URL: url, RIG_STEP: encrypted ? "0" : "1" },
      });
      expect(killed).toMatchObject({ signal: "SIGKILL", stage: "move:ended>home" });
      await expectCode(openAt(home, url), "ERR_CONFLICT");
      await moveOn(home, url, !encrypted);
      await using opened = await openAt(home, url);
      expect((await opened.secrets.get("earlier")).value).toEqual(new Uint8Array(5000).fill(1));
      expect((await opened.status()).database.encrypted).toBe(encrypted);
    },
  );

  test("while moving between files and PostgreSQL: whole in the old place or in the new one", {
    timeout: 3_600_000,
  }, async () => {
    const home = newHome();
    const url = await newDatabaseUrl();
    const first = await create(home);
    await first.secrets.set("earlier", new Uint8Array(5000).fill(1));
    await first.keys.create({ name: "sign", type: "signing", algorithm: "ed25519" });
    await first.close();
    let step = 0;
    /** What was read last: a step that was begun may never have been done. */
    let known = -1;
    for (const { killAt, afterMs } of kills(STAGES, 1500)) {
      const killed = await runAndKill(["move", home, killAt], {
        env: { RIG_URL: url, RIG_STEP: `${step}` },
        ...(afterMs === undefined ? {} : { afterMs }),
      });
      checkKilled("store migrate", killed, killAt);
      const done = Math.max(known, last(killed.lines, "done"));
      const begun = Math.max(done, last(killed.lines, "begin"));
      const opened = await openAt(home, url).catch(async (error) => {
        // Only when the old place was closed and the new one not yet named: the next call ends it.
        await expectCode(Promise.reject(error), "ERR_CONFLICT");
        await moveOn(home, url);
        return openAt(home, url);
      });
      expect((await opened.secrets.get("earlier")).value).toEqual(new Uint8Array(5000).fill(1));
      if (done >= 0) {
        const value = Number(text((await opened.secrets.get("step")).value));
        expect([done, begun]).toContain(value);
        known = value;
      }
      await opened.secrets.set("after", new Uint8Array(3));
      expect((await opened.audit.verify({ rows: true })).faults).toEqual([]);
      await opened.close();
      step = begun + 1;
    }
  });
});
