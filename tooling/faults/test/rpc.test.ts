import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { makePair, type Pair } from "../../../packages/crypto-rpc/test/support/companion.ts";
import { withTwoHosts } from "../../services/netns.ts";
import { requireService } from "../../vitest/require-service.ts";
import { RPC_FAULTS, type RpcFault } from "../rpc.ts";
import type { AgentReport, AgentSettings } from "../rpc-agent.ts";

const DEADLINE_MS = 1500;
const IN_FLIGHT = 16;
/** For a machine that does much else at the same time. */
const SLACK_MS = 2500;

const main = fileURLToPath(new URL("../rpc-agent.ts", import.meta.url));

interface Agent {
  /** Where it listens, when it does. */
  readonly port: number;
  tell(line: string): void;
  kill(): void;
  /** Ends the load; what came of it. */
  report(): Promise<AgentReport>;
}

/** A program with standard streams, on this machine or another. */
interface Program {
  readonly stdin: Writable;
  readonly stdout: Readable;
  kill(signal: NodeJS.Signals): unknown;
}

const agentArgs = (
  pair: Pair,
  settings: Pick<AgentSettings, "url"> & { giveUpMs?: number },
): string[] => [
  "--conditions=@lango/source",
  main,
  JSON.stringify({
    folder: path.join(pair.folder, "agent"),
    pins: [pair.companion],
    timeoutMs: DEADLINE_MS,
    inFlight: IN_FLIGHT,
    giveUpMs: 20_000,
    ...settings,
  } satisfies AgentSettings),
];

const onThisMachine = (args: readonly string[]): Program =>
  spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });

const agentOf = async (program: Program): Promise<Agent> => {
  const lines: string[] = [];
  let rest = "";
  let more = Promise.withResolvers<void>();
  program.stdin.on("error", () => {});
  program.stdout.on("data", (chunk) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    more.resolve();
    more = Promise.withResolvers();
  });
  const line = async (): Promise<string> => {
    while (lines.length === 0) await more.promise;
    return lines.shift()!;
  };
  const port = Number(await line());
  return {
    port,
    tell: (text) => program.stdin.write(`${text}\n`),
    kill: () => program.kill("SIGKILL"),
    report: async () => {
      program.stdin.write("stop\n");
      const report: AgentReport = JSON.parse(await line());
      program.stdin.end();
      return report;
    },
  };
};

/** What stands between the two and can be cut. */
const startCable = async (target: number) => {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
    }
    near.pipe(far).pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    url: `wss://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    cut,
    stop: () => {
      server.close();
      cut();
    },
  };
};

/** Lets a fault happen to an agent under load; its report. */
const STRIKES: Readonly<Record<RpcFault, (pair: Pair) => Promise<AgentReport>>> = {
  "companion killed": async (pair) => {
    const resultsFile = path.join(pair.folder, "results");
    const first = await pair.start({ resultsFile });
    const agent = await agentOf(onThisMachine(agentArgs(pair, { url: first.url })));
    await sleep(1000);
    await first.stop();
    await sleep(1000);
    const listen = { host: "127.0.0.1", port: first.port };
    const second = await pair.start({ resultsFile, listen });
    await sleep(1000);
    const report = await agent.report();
    await second.stop();
    return report;
  },
  "companion stopped": async (pair) => {
    const companion = await pair.start();
    const agent = await agentOf(onThisMachine(agentArgs(pair, { url: companion.url })));
    await sleep(1000);
    companion.child.kill("SIGSTOP");
    await sleep(2 * DEADLINE_MS);
    companion.child.kill("SIGCONT");
    await sleep(1000);
    const report = await agent.report();
    await companion.stop();
    return report;
  },
  "connections cut": async (pair) => {
    const companion = await pair.start();
    const cable = await startCable(companion.port);
    const agent = await agentOf(onThisMachine(agentArgs(pair, { url: cable.url })));
    await sleep(1000);
    for (let i = 0; i < 10; i++) {
      cable.cut();
      await sleep(200);
    }
    const report = await agent.report();
    cable.stop();
    await companion.stop();
    return report;
  },
  "network down": (pair) => {
    requireService("netns");
    return withTwoHosts(async ({ a, b, linkDown, linkUp }) => {
      const listen = { host: b.ipv4, port: 7451 };
      const companion = b.start(process.execPath, pair.args({ listen }));
      await once(companion.stdout, "data");
      const url = `https://${b.ipv4}:${listen.port}`;
      const agent = await agentOf(a.start(process.execPath, agentArgs(pair, { url })));
      await sleep(1000);
      await linkDown();
      await sleep(2 * DEADLINE_MS);
      await linkUp();
      await sleep(1000);
      return await agent.report();
    });
  },
  "agent killed": async (pair) => {
    const companion = await pair.start();
    const args = agentArgs(pair, { url: companion.url });
    const first = await agentOf(onThisMachine(args));
    await sleep(1000);
    first.kill();
    const second = await agentOf(onThisMachine(args));
    await sleep(1000);
    const report = await second.report();
    expect(companion.child.exitCode).toBeNull();
    await companion.stop();
    return report;
  },
  "listener restarted": async (pair) => {
    const agent = await agentOf(onThisMachine(agentArgs(pair, {})));
    const companion = await pair.start({ dial: `wss://127.0.0.1:${agent.port}` });
    await sleep(1000);
    agent.tell("restart the listener");
    await sleep(1000);
    const report = await agent.report();
    await companion.stop();
    return report;
  },
  "agent revoked": async (pair) => {
    const companion = await pair.start();
    const agent = await agentOf(
      onThisMachine(agentArgs(pair, { url: companion.url, giveUpMs: 500 })),
    );
    await sleep(1000);
    companion.revoke(pair.agent.id);
    await sleep(1000);
    const report = await agent.report();
    await companion.stop();
    return report;
  },
};

describe("faults of a companion under load", () => {
  test.each(RPC_FAULTS)("$name: $what", async ({ name, codes, recovers, uses }) => {
    const pair = await makePair();
    try {
      const report = await STRIKES[name](pair);
      const told = JSON.stringify(report);
      expect(report.strange, told).toEqual([]);
      expect(report.outcomes["ok"], told).toBeGreaterThan(20);
      const failed = Object.keys(report.outcomes).filter((outcome) => outcome !== "ok");
      const others = failed.filter((code) => !codes.some((expected) => expected === code));
      expect(others, told).toEqual([]);
      expect(report.longestMs, told).toBeLessThan(DEADLINE_MS + SLACK_MS);
      expect(report.left, told).toEqual([]);
      if (recovers) expect(report.worksAfterMs, told).not.toBeNull();
      else expect(report.last, told).toBe(codes[0]);
      const used = pair.uses();
      const twice = used.length - new Set(used).size;
      // A batch is under way at most; see inbox.ts of the channel. Only one result is kept and given out.
      expect(twice, told).toBeLessThanOrEqual(uses === "once" ? 0 : IN_FLIGHT);
    } finally {
      pair.remove();
    }
  });
});
