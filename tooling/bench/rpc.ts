import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createSigner, memoryResults } from "@lango/companion";
import { type CryptoClient, createCryptoClient, createResilientProvider } from "@lango/crypto-core";
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
/** How long the slow request takes. */
const SLOW_MS = 3000;
const GAP_TURN_MS = 200;

type Call = () => Promise<unknown>;

/**
 * Signatures by a companion in another process, as an application asks for them, against a bare echo of the same size over the
 * same TLS in another one, and against the same echo when it makes a signature too, which is the signer's own work.
 */
export const measureRpc = async (): Promise<Measure[]> => {
  const pair = await makePair();
  const companion = await pair.start({ usesFile: undefined, delayMs: 0 });
  const slow = await pair.start({ usesFile: undefined, delayMs: SLOW_MS });
  const echo = await startEcho(pair);
  const signing = await startEcho(pair, "sign");
  const client = connect(pair, companion.url);
  const other = connect(pair, slow.url);
  try {
    const work = { ours: () => sign(client), echo: echo.call, signing: signing.call };
    for (let i = 0; i < WARM_UP; i++) await Promise.all(Object.values(work).map((call) => call()));
    const measures: Measure[] = [];
    for (const inFlight of IN_FLIGHT) measures.push(...(await compare(inFlight, work)));
    return [...measures, await stalls(other, echo.call), await overhead(client, pair)];
  } finally {
    await Promise.all([client.close(), other.close()]);
    await Promise.all([echo, signing, companion, slow].map((each) => each.stop()));
    pair.remove();
  }
};

const connect = ({ identity, peers }: Pair, url: string): CryptoClient => {
  const provider = createRpcProvider({ url, identity, peers });
  return createCryptoClient({ provider: createResilientProvider(provider) });
};

const message = new Uint8Array(randomBytes(32));
const sign = (client: CryptoClient) => client.sign({ keyId: "ed", message, algorithm: "ed25519" });

interface Turn {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}
type Round = Readonly<Record<"ours" | "echo" | "signing", Turn>>;

/** Rounds in which the three take turns, the first one going last in the next. */
const compare = async (
  inFlight: number,
  work: Readonly<Record<keyof Round, Call>>,
): Promise<Measure[]> => {
  const names = ["ours", "echo", "signing"] as const;
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const turns: Partial<Record<keyof Round, Turn>> = {};
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length]!;
      turns[name] = await turn(inFlight, work[name]);
    }
    rounds.push(turns as Round);
  }
  const measure = (what: keyof Turn, against: "echo" | "signing", bound: number): Measure => {
    const of = (pick: (round: Round) => number) => median(rounds.map(pick));
    const ratio = of((round) => round.ours[what] / round[against][what]);
    const isRate = what === "perSecond";
    return {
      name: `rpc-sign-${inFlight}-in-flight-${isRate ? "" : `${what}-`}vs-${against === "echo" ? "echo" : "echo-that-signs"}`,
      unit: isRate ? "round trips/s" : "ms",
      ours: of(({ ours }) => ours[what]),
      theirs: of((round) => round[against][what]),
      ratio,
      target: `${isRate ? "≥" : "≤"} ${bound}`,
      met: isRate ? ratio >= bound : ratio <= bound,
    };
  };
  return [
    measure("perSecond", "echo", 0.5),
    measure("perSecond", "signing", 0.5),
    measure("p50", "signing", 5),
    measure("p99", "echo", 5),
    measure("p99", "signing", 5),
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

/**
 * The longest time between two answers while 1,000 requests are in flight on one connection, one of them slow at its key: if
 * others waited for it, or for a long row of others, no answer would come meanwhile.
 */
const stalls = async (client: CryptoClient, echo: Call): Promise<Measure> => {
  const slow = sign(client);
  const busy = await longestGaps(() => client.describeKey({ keyId: "ed" }));
  await slow;
  const bare = await longestGaps(echo);
  return {
    name: `rpc-${MOST}-in-flight-longest-time-without-an-answer`,
    unit: "ms",
    ours: busy,
    theirs: bare,
    ratio: busy / bare,
    target: "≤ 10 ms",
    met: busy <= 10,
  };
};

/** Median over some turns of the longest gap of each: a machine that does something else stops everybody now and then. */
const longestGaps = async (call: Call): Promise<number> => {
  const gaps: number[] = [];
  const until = performance.now() + SLOW_MS * 0.9;
  let last = performance.now();
  let longest = 0;
  let turnEnds = last + GAP_TURN_MS;
  const one = async (): Promise<void> => {
    while (performance.now() < until) {
      await call();
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      if (now < turnEnds) continue;
      gaps.push(longest);
      longest = 0;
      turnEnds = now + GAP_TURN_MS;
    }
  };
  await Promise.all(Array.from({ length: MOST }, one));
  // The first turn holds the time in which the requests are written.
  return median(gaps.slice(1));
};

/** What the provider and the channel add: the same call with the companion's handler called in this process. */
const overhead = async (client: CryptoClient, pair: Pair): Promise<Measure> => {
  const keys = createLocalProvider({ keys: readKeys(pair.keysFile) });
  const rules = [{ methods: ["sign"], ask: false }] as const;
  const handler = createSigner({ keys, name: "here", results: memoryResults(), policy: { rules } });
  const peer = { ...pair.agent, state: "active", pairedAt: 0 } as const;
  const inProcess = () => {
    const id = randomBytes(16).toString("base64url");
    const params = { keyId: "ed", message, algorithm: "ed25519" } as const;
    const signal = new AbortController().signal;
    const [binding, publicKey] = [new Uint8Array(32), new Uint8Array()];
    const hash = new Uint8Array(createHash("sha256").update(message).digest());
    const rest = { peer, binding, publicKey, signal, hash, waiting: () => () => {} };
    return handler({ id, method: "sign", params, ...rest });
  };
  const [ours, theirs] = [[] as number[], [] as number[]];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push((await turn(1, () => sign(client))).p50);
    theirs.push((await turn(1, inProcess)).p50);
  }
  return {
    name: "rpc-sign-over-handler-in-process",
    unit: "ms",
    ours: median(ours),
    theirs: median(theirs),
    ratio: median(ours.map((each, round) => each / theirs[round]!)),
    target: "none",
    met: true,
  };
};

interface Echo {
  readonly call: Call;
  stop(): Promise<void>;
}

/** The bare server, and a bare client of it: answers come in the order of the questions. */
const startEcho = async (pair: Pair, ...does: string[]): Promise<Echo> => {
  const main = fileURLToPath(new URL("rpc-echo.ts", import.meta.url));
  const args = ["--conditions=@lango/source", main, path.join(pair.folder, "companion"), ...does];
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
