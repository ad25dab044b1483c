import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { bytes, makeVault, newHome, reopen, text } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { Sqlite } from "./sqlite.ts";

test("a data key that left the cache while its write waited: the value is sealed again", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("one"));
  await vault.secrets.set("b", bytes("two"));
  await vault.close();
  const again = await reopen(home);
  await again.secrets.get("a");

  const other = new Sqlite(join(home, "lango.db"), {});
  const now = performance.now.bind(performance);
  let aged: Promise<unknown> | undefined;
  onStage("secret:sealed", () => {
    // The write has its key and waits for the lock. A read, 16 minutes later, finds the key too old and loads it anew.
    other.exec("begin immediate");
    vi.spyOn(performance, "now").mockImplementation(() => now() + 16 * 60_000);
    aged = again.secrets.get("b");
  });
  const written = again.secrets.set("a", bytes("three"));
  await vi.waitUntil(() => aged !== undefined);
  for (let turn = 0; turn < 20; turn += 1) await setImmediate();
  vi.restoreAllMocks();
  other.exec("commit");
  other.close();

  expect(await written).toMatchObject({ name: "a", version: 2 });
  await aged;
  expect(text((await again.secrets.get("a")).value)).toBe("three");
  expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
});
