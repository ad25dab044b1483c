import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Channel, Identity } from "@lango/companion";
import { createSigner, memoryResults } from "@lango/companion";
import { type CryptoProvider, createCryptoClient, createResilientProvider } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import { createRpcProvider } from "@lango/crypto-rpc";
import { WebSocket } from "ws";
import { makePair, type Pair } from "../../packages/crypto-rpc/test/support/companion.ts";
import { readKeys } from "../../packages/crypto-rpc/test/support/keys.ts";
import { type Measure, median } from "./paired.ts";
import { echoTls } from "./rpc-tls.ts";

const IN_FLIGHT = [1, 16, 64] as const;
const ROUNDS = 9;
const SECONDS_PER_TURN = 0.4;
const WARM_UP = 2000;
/** Characters of a frame that asks for a signature of 32 bytes, and about those of its answer. */
const FRAME_CHARACTERS = 230;
const MOST = 1000;

type Call = () => Promise<unknown>;

/** Signatures by a companion in another process, against a bare echo of the same size over the same TLS in another one. */
export const measureRpc = async (): Promise<Measure[]> => {
  const pair = await makePair();
  const companion = await pair.start({ usesFile: undefined });
  const echo = await startEcho(pair);
  const { identity, peers } = pair;
  const provider = createRpcProvider({ url: companion.url, identity, peers });
  const client = createCryptoClient({ provider: createResilientProvider(provider) });
  const message = new Uint8Array(randomBytes(32));
  try {
    const sign = () => client.sign({ keyId: "ed", message, algorithm: "ed25519" });
    for (let i = 0; i < WARM_UP; i++) await Promise.all([sign(), echo.call()]);
    const measures: Measure[] = [];
    for (const inFlight of IN_FLIGHT) measures.push(...(await compare(inFlight, sign, echo.call)));
    return measures;
  } finally {
    await client.close();
    await echo.stop();
    await companion.stop();
    pair.remove();
  }
};

interface Turn {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Paired rounds: ours, theirs, and the other way round in the next one. */
const compare = async (inFlight: number, ours: Call, theirs: Call): Promise<Measure[]> => {
  const rounds: { ours: Turn; theirs: Turn }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    if (round % 2 === 0) rounds.push({ ours: await turn(inFlight, ours), theirs: await turn(inFlight, theirs) });
    else {
      const second = await turn(inFlight, theirs);
      rounds.push({ ours: await turn(inFlight, ours), theirs: second });
    }
  }
  const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  const measure = (what: keyof Turn, unit: string, target: string, isMet: (ratio: number) => boolean): Measure => {
    const ratio = of(({ ours, theirs }) => ours[what] / theirs[what]);
    return {
      name: `rpc-sign-${inFlight}-in-flight-${what}-vs-echo`,
      unit,
      ours: of(({ ours }) => ours[what]),
      theirs: of(({ theirs }) => theirs[what]),
      ratio,
      target,
      met: isMet(ratio),
    };
  };
  return [
    measure("perSecond", "round trips/s", "≥ 0.5", (ratio) => ratio >= 0.5),
    measure("p50", "ms", "none", () => true),
    measure("p99", "ms", "≤ 5", (ratio) => ratio <= 5),
  ];
};

const turn = async (inFlight: number, call: Call): Promise<Turn> => {
  const times: number[] = [];
  const startedAt = performance.now();
  const until = startedAt + SECONDS_PER_TURN * 1000;
  const one = async (): Promise<void> => {
    for (let now = performance.now(); now < until; ) {
      await call();
      const end = performance.now();
      times.push(end - now);
      now = end;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  const seconds = (performance.now() - startedAt) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * times.length)] ?? Number.NaN;
  return { perSecond: times.length / seconds, p50: at(0.5), p99: at(0.99) };
};

interface Echo {
  readonly call: Call;
  stop(): Promise<void>;
}

/** The bare server, and a bare client of it: answers come in the order of the questions. */
const startEcho = async (pair: Pair): Promise<Echo> => {
  const main = fileURLToPath(new URL("rpc-echo.ts", import.meta.url));
  const args = ["--conditions=@lango/source", main, path.join(pair.folder, "companion")];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  const [port] = await once(child.stdout!, "data");
  const socket = new WebSocket(`wss://127.0.0.1:${Number(port)}`, {
    ...(echoTls(pair.identity) as object),
    perMessageDeflate: false,
  });
  await once(socket, "open");
  const waiting: (() => void)[] = [];
  socket.on("message", (data) => {
    if (String(data).length === FRAME_CHARACTERS) waiting.shift()?.();
  });
  const text = "x".repeat(FRAME_CHARACTERS);
  return {
    call: () =>
      new Promise<void>((resolve) => {
        waiting.push(resolve);
        socket.send(text);
      }),
    stop: async () => {
      socket.terminate();
      child.kill();
      await once(child, "exit");
    },
  };
};
