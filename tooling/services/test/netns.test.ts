import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { requireService } from "../../vitest/require-service.ts";
import { withTwoHosts } from "../netns.ts";

const ECHO =
  "require('node:net').createServer(s => s.pipe(s)).listen(4000, '::', () => console.log('up'))";

/** Whether a shell with that word among its arguments runs anywhere on this machine. */
const runs = (word: string): boolean =>
  readdirSync("/proc").some((entry) => {
    try {
      const [program, ...args] = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      return program === "sh" && args.includes(word);
    } catch {
      return false;
    }
  });

const until = async (condition: () => boolean): Promise<void> => {
  for (let tries = 0; tries < 500 && !condition(); tries++) await sleep(20);
  expect(condition()).toBe(true);
};

describe("two hosts on a cable", () => {
  it("reach each other over IPv4 and IPv6, and not while the link is down", async () => {
    requireService("netns");
    await withTwoHosts(async ({ a, b, linkDown, linkUp }) => {
      const server = b.start(process.execPath, ["-e", ECHO]);
      await once(server.stdout, "data");
      const connects = async (address: string): Promise<boolean> => {
        const client = `const s = require('node:net').connect(4000, '${address}', () => process.exit(0));
          s.on('error', () => process.exit(1)); setTimeout(() => process.exit(1), 1000)`;
        return (await a.run(process.execPath, ["-e", client])).status === 0;
      };
      expect([await connects(b.ipv4), await connects(b.ipv6)]).toEqual([true, true]);
      await linkDown();
      expect([await connects(b.ipv4), await connects(b.ipv6)]).toEqual([false, false]);
      await linkUp();
      expect([await connects(b.ipv4), await connects(b.ipv6)]).toEqual([true, true]);
      server.kill("SIGKILL");
      expect(await server.ended).toMatchObject({ signal: "SIGKILL" });
    });
  });

  it("signal the program itself, and hand its status back", async () => {
    requireService("netns");
    await withTwoHosts(async ({ a }) => {
      const program = a.start("sh", [
        "-c",
        "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done",
      ]);
      await once(program.stdout, "data");
      program.kill();
      expect(await program.ended).toEqual({ status: 7, signal: null });
    });
  });

  it("end with the test, also when it is killed", async () => {
    requireService("netns");
    const mark = `lango-mark-${process.pid}`;
    const script = `
      import { withTwoHosts } from ${JSON.stringify(fileURLToPath(new URL("../netns.ts", import.meta.url)))};
      await withTwoHosts(async ({ b }) => {
        b.start("sh", ["-c", "while :; do sleep 0.1; done", ${JSON.stringify(mark)}]);
        console.log("up");
        await new Promise(() => setInterval(() => {}, 1000));
      });`;
    const test = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(test.stdout, "data");
    await until(() => runs(mark));
    test.kill("SIGKILL");
    await until(() => !runs(mark));
  });
});
