import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { newDatabaseUrl } from "../../../tooling/vitest/postgres.ts";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { createBackup, restoreBackup } from "../src/index.ts";
import { start } from "./rig/spawn.ts";
import { create, newFolder, newKeys, open, unlockWith } from "./support.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const ROUNDS = torture(2, 30);

test.each([
  { count: 8, place: "a file", newUrl: async () => undefined },
  { count: 4, place: "a server", newUrl: newDatabaseUrl },
])(
  "$count processes that write to $place do not keep a backup from being of one moment",
  { timeout: 600_000 },
  async ({ count, place, newUrl }) => {
    const url = await newUrl();
    const folder = newFolder();
    const home = join(folder, "home");
    const { recipient, identity } = await newKeys();
    const vault = await create(home, url);
    const writers = Array.from({ length: count }, () =>
      start(["write", home, "", "", "", ...(url === undefined ? [] : [url])]),
    );
    try {
      const hasWritten = ({ lines }: { lines: string[] }): boolean =>
        lines.some((line) => line.startsWith("done "));
      while (!writers.every(hasWritten)) await sleep(20);
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
        expect(pairs).toHaveLength(count);
        for (const name of pairs) {
          const [a, b] = [await read(name.replace(/b$/, "a")), await read(name)];
          expect([b, b + 1]).toContain(a);
        }
      }
      // They went on meanwhile.
      for (const { child } of writers) expect(child.exitCode).toBe(null);
      report(
        `backups while ${count} processes write to ${place}`,
        new Map([["of one moment", ROUNDS]]),
      );
    } finally {
      for (const { child } of writers) child.kill("SIGKILL");
      await vault.close();
    }
  },
);
