import { describe, expect, test } from "vitest";
import { bytes, newHome, text } from "./helpers.ts";
import { createKills, last } from "./rig/kills.ts";
import { remote } from "./rig/remote.ts";
import { runAndKill } from "./rig/spawn.ts";
import { checkWhole } from "./rig/whole.ts";
import { create, open, TARGETS, targetOf } from "./rig/work.ts";
import { Sqlite } from "./sqlite.ts";

const STAGES = {
  migrate: [
    "migrate:proven",
    "migrate:wrapped",
    "migrate:written",
    "migrate:audited",
    "migrate:done",
  ],
  fallback: ["fallback:created", "secret:audited", "rewrap:wrapped"],
} as const;

const { kills, checkKilled } = createKills(STAGES);

interface Row {
  readonly domain: string;
  readonly state: string;
  readonly wrap_uri: string;
}

const dataKeys = (home: string): Row[] => {
  const database = new Sqlite(`${home}/lango.db`, {});
  try {
    return database.prepare("SELECT domain, state, wrap_uri FROM data_keys").all() as Row[];
  } finally {
    database.close();
  }
};

const fillUp = (home: string): void => {
  const database = new Sqlite(`${home}/lango.db`, {});
  database.prepare("UPDATE data_keys SET messages = 1073741824").run();
  database.close();
};

describe("kill -9", () => {
  test("while migrating: all data keys under the old key or all under the new one", {
    timeout: 3_600_000,
  }, async () => {
    const home = newHome();
    await (await create(home)).close();
    for (const name of ["a", "b", "c"]) {
      const vault = await open(home);
      await vault.secrets.set(name, bytes(name));
      await vault.close();
      fillUp(home);
    }
    /** The step that is next, and where the one before it ended. */
    let next = 0;
    for (const { killAt, afterMs } of kills(STAGES.migrate, 150)) {
      const killed = await runAndKill(["migrate", home, killAt], {
        env: { RIG_STEP: String(next) },
        ...(afterMs === undefined ? {} : { afterMs }),
      });
      checkKilled("migrate", killed, killAt);
      const done = last(killed.lines, "done");
      if (done >= 0) next = done + 1;
      const vault = await open(home);
      const { uri } = await vault.keys.describe("default");
      const before = next === 0 ? "local:default" : targetOf(next - 1);
      expect([before, targetOf(next)]).toContain(uri);
      if (uri === targetOf(next)) next += 1;
      const wrapper = uri === "local:default" ? "vault:wrap" : uri;
      expect(await vault.status()).toMatchObject({
        degradedDataKeys: 0,
        dataKeys: [{ uri: wrapper, count: 3 }],
      });
      for (const name of ["a", "b", "c"]) {
        expect(text((await vault.secrets.get(name)).value)).toBe(name);
      }
      await checkWhole(vault, home);
      await vault.close();
    }
    expect(next).toBeGreaterThan(TARGETS.length);
  });

  test("while the fallback seals and is wrapped again: what was confirmed is there, and nothing stays degraded", {
    timeout: 3_600_000,
  }, async () => {
    const home = newHome();
    await (await create(home, { uri: "aws-kms:k1", provider: remote().provider })).close();
    const values = new Map<string, string>();
    for (const { killAt, afterMs } of kills(STAGES.fallback, 300)) {
      const killed = await runAndKill(
        ["fallback", home, killAt],
        afterMs === undefined ? {} : { afterMs },
      );
      checkKilled("fallback", killed, killAt);
      const [done, begun] = [last(killed.lines, "done"), last(killed.lines, "begin")];
      for (let step = 0; step <= done; step += 1) values.set(`cold-${step % 5}`, `value ${step}`);
      const vault = await open(home);
      for (const { name } of await vault.secrets.list()) {
        if (name === "warm") continue;
        const value = text((await vault.secrets.get(name)).value);
        const mayBeBegun = name === `cold-${begun % 5}` && value === `value ${begun}`;
        if (mayBeBegun) values.set(name, value);
        expect(value).toBe(values.get(name));
      }
      expect((await vault.secrets.list()).filter(({ name }) => name !== "warm").length).toBe(
        values.size,
      );
      await vault.secrets.set("warm", bytes("after"));
      await vault.close();
      // Wrapped again by itself: the vault above has had an answer of the provider.
      const rows = dataKeys(home);
      expect(new Set(rows.map(({ wrap_uri }) => wrap_uri))).toEqual(new Set(["aws-kms:k1"]));
      expect(rows.filter(({ state }) => state === "active")).toEqual([
        { domain: "secrets", state: "active", wrap_uri: "aws-kms:k1" },
      ]);
      const again = await open(home);
      expect(await again.status()).toMatchObject({ degradedDataKeys: 0 });
      await checkWhole(again, home);
      await again.close();
    }
  });
});
