import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { createBackup, restoreBackup } from "../src/index.ts";
import { start } from "./rig/spawn.ts";
import { backedUp, open, unlockWith } from "./support.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const ROUNDS = torture(2, 30);

describe("8 processes that write", () => {
  test("do not keep a backup from being of one moment", { timeout: 600_000 }, async () => {
    const { folder, home, recipient, identity } = await backedUp();
    const writers = Array.from({ length: 8 }, () => start(["write", home]));
    try {
      const hasWritten = ({ lines }: { lines: string[] }): boolean =>
        lines.some((line) => line.startsWith("done "));
      while (!writers.every(hasWritten)) await sleep(20);
      const vault = await open(home);
      for (let round = 0; round < ROUNDS; round += 1) {
        const file = join(folder, `round-${round}.age`);
        await createBackup({ vault, to: file, sealing: { recipients: [recipient] }, lango: "1" });
        const to = join(folder, `to-${round}`);
        const opening = { identities: [identity] };
        // It walks the whole log, and compares every row with it: a copy of two moments would not pass.
        await restoreBackup({ file, home: to, opening, unlock: unlockWith() });
        await using back = await open(to);
        const read = async (name: string): Promise<number> =>
          Number(text((await back.secrets.get(name)).value).slice("value ".length));
        const names = (await back.secrets.list()).map(({ name }) => name);
        const pairs = names.filter((name) => name.startsWith("w/") && name.endsWith("/b"));
        expect(pairs).toHaveLength(8);
        for (const name of pairs) {
          const [a, b] = [await read(name.replace(/b$/, "a")), await read(name)];
          expect([b, b + 1]).toContain(a);
        }
      }
      await vault.close();
      report("backups while 8 processes write", new Map([["of one moment", ROUNDS]]));
    } finally {
      for (const { child } of writers) child.kill("SIGKILL");
    }
  });
});
