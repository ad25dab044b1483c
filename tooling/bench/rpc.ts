import { createHash, randomBytes } from "node:crypto";
import { createSigner, memoryResults } from "@lango/companion";
import {
  type CryptoProvider,
  createCryptoClient,
  createResilientProvider,
  type SignatureAlgorithm,
} from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import { createRpcProvider } from "@lango/crypto-rpc";
import { makePair, type Pair } from "../../packages/crypto-rpc/test/support/companion.ts";
import { readKeys } from "../../packages/crypto-rpc/test/support/keys.ts";
import { type Measure, median } from "./paired.ts";
import { startEcho } from "./rpc-echo-client.ts";

const IN_FLIGHT = [1, 16, 64] as const;
const ROUNDS = 9;
const SECONDS_PER_TURN = 0.4;
const WARM_UP = 5000;
const MOST = 1000;
/** How long the person takes who is asked. */
const PERSON_MS = 3000;
const GAP_TURN_MS = 200;

type Call = () => Promise<unknown>;

/** What takes turns: three that answer messages of the same sizes without our code, and three that sign with it. */
type Work = {
  readonly echo: Call;
  /** Echoes that make a signature for each message. */
  readonly signingP256: Call;
  readonly signingEd25519: Call;
  /** The provider by itself. */
  readonly p256: Call;
  readonly ed25519: Call;
  /** The same provider as an application has it: with resilience, and a client around. */
  readonly client: Call;
};

/**
 * What it costs to have 32 bytes signed by a companion in another process, over one connection. The companion is the reference
 * signer with keys of crypto-local; each request is checked on both sides and signed once for its id, and no person is asked.
 *
 * There are two yardsticks, in processes of their own, with bare `ws` over the same TLS and messages of the same sizes both
 * ways. The *echo* answers at once. The *echo that signs* makes one signature with Node for each message: no protocol can save
 * that. A ratio is the median of the rounds, in each of which all take turns.
 */
export const measureRpc = async (): Promise<Measure[]> => {
  const pair = await makePair();
  const companion = await pair.start({
    usesFile: undefined,
    asks: { keyId: "p384", ms: PERSON_MS },
  });
  const echo = await startEcho(pair);
  const signingP256 = await startEcho(pair, "ecdsa-p256");
  const signingEd25519 = await startEcho(pair, "ed25519");
  const { identity, peers } = pair;
  const provider = createRpcProvider({ url: companion.url, identity, peers });
  const client = createCryptoClient({ provider: createResilientProvider(provider) });
  const work: Work = {
    echo: echo.call,
    signingP256: signingP256.call,
    signingEd25519: signingEd25519.call,
    p256: () => sign(provider, "p256", "ecdsa-p256-sha256"),
    ed25519: () => sign(provider, "ed", "ed25519"),
    client: () => sign(client, "p256", "ecdsa-p256-sha256"),
  };
  try {
    for (const call of Object.values(work)) await warmUp(call);
    const measures: Measure[] = [];
    for (const inFlight of IN_FLIGHT) measures.push(...(await compare(inFlight, work)));
    measures.push(...(await stalls(provider, work)), await overhead(work.p256, pair));
    return measures;
  } finally {
    await client.close();
    await Promise.all([echo, signingP256, signingEd25519, companion].map((each) => each.stop()));
    pair.remove();
  }
};

const message = new Uint8Array(randomBytes(32));
const sign = async (
  provider: Pick<CryptoProvider, "sign">,
  keyId: string,
  algorithm: SignatureAlgorithm,
): Promise<unknown> => provider.sign?.({ keyId, message, algorithm });

const warmUp = async (call: Call): Promise<void> => {
  for (let done = 0; done < WARM_UP; done += 50)
    await Promise.all(Array.from({ length: 50 }, call));
};

interface Turn {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}
type Name = keyof Work;
type Round = Readonly<Record<Name, Turn>>;

/** Rounds in which all take turns, the first one going last in the next. */
const compare = async (inFlight: number, work: Work): Promise<Measure[]> => {
  const names = Object.keys(work) as Name[];
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const turns: Partial<Record<Name, Turn>> = {};
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length]!;
      turns[name] = await turn(inFlight, work[name]);
    }
    rounds.push(turns as Round);
  }
  type Row = readonly [label: string, ours: Name, theirs: Name];
  const measure = ([label, ours, theirs]: Row, what: keyof Turn): Measure => {
    const of = (pick: (round: Round) => number) => median(rounds.map(pick));
    const ratio = of((round) => round[ours][what] / round[theirs][what]);
    const isRate = what === "perSecond";
    return {
      name: `rpc-${label}-${inFlight}-in-flight${isRate ? "" : `-${what}`}`,
      unit: isRate ? "round trips/s" : "ms",
      ours: of((round) => round[ours][what]),
      theirs: of((round) => round[theirs][what]),
      ratio,
      target: isRate ? "≥ 0.5" : "≤ 5",
      met: isRate ? ratio >= 0.5 : ratio <= 5,
    };
  };
  const rows: readonly Row[] = [
    ["sign-p256-vs-echo", "p256", "echo"],
    ["sign-p256-vs-echo-that-signs", "p256", "signingP256"],
    ["sign-ed25519-vs-echo", "ed25519", "echo"],
    ["sign-ed25519-vs-echo-that-signs", "ed25519", "signingEd25519"],
    ["client-sign-p256-vs-echo", "client", "echo"],
    ["client-sign-p256-vs-echo-that-signs", "client", "signingP256"],
  ];
  return rows.flatMap((row) => [measure(row, "perSecond"), measure(row, "p99")]);
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
 * The longest time between two answers while 1,000 requests to sign are in flight on one connection, one of which waits for a
 * person: 999 answers are due all the time. The same for as many messages to the echo that signs, and to the bare one.
 */
const stalls = async (provider: CryptoProvider, work: Work): Promise<Measure[]> => {
  let isDecided = false;
  const asking = sign(provider, "p384", "ecdsa-p384-sha384").then(() => {
    isDecided = true;
  });
  const ours = await longestGaps(MOST - 1, work.p256);
  if (isDecided) throw new Error("the person decided before the others were done");
  await asking;
  const row = (against: string, theirs: number): Measure => ({
    name: `rpc-${MOST}-in-flight-longest-time-without-an-answer-vs-${against}`,
    unit: "ms",
    ours,
    theirs,
    ratio: ours / theirs,
    target: "≤ 10 ms",
    met: ours <= 10,
  });
  return [
    row("echo", await longestGaps(MOST, work.echo)),
    row("echo-that-signs", await longestGaps(MOST, work.signingP256)),
  ];
};

/** Median over some turns of the longest gap of each: a machine that does something else stops everybody now and then. */
const longestGaps = async (inFlight: number, call: Call): Promise<number> => {
  const gaps: number[] = [];
  let last = performance.now();
  const until = last + PERSON_MS * 0.8;
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
  await Promise.all(Array.from({ length: inFlight }, one));
  // The first turn holds the time in which the requests are written.
  return median(gaps.slice(1));
};

/** What the provider and the channel add to the signer's own work: the same call with its handler called in this process. */
const overhead = async (call: Call, pair: Pair): Promise<Measure> => {
  const keys = createLocalProvider({ keys: readKeys(pair.keysFile) });
  const rules = [{ methods: ["sign"], ask: false }] as const;
  const handler = createSigner({ keys, name: "here", results: memoryResults(), policy: { rules } });
  const peer = { ...pair.agent, state: "active", pairedAt: 0 } as const;
  const inProcess = () => {
    const id = randomBytes(16).toString("base64url");
    const params = { keyId: "p256", message, algorithm: "ecdsa-p256-sha256" } as const;
    const signal = new AbortController().signal;
    const binding = new Uint8Array(32);
    const hash = new Uint8Array(createHash("sha256").update(message).digest());
    const rest = { peer, binding, signal, hash, waiting: () => () => {} };
    return handler({ id, method: "sign", params, ...rest });
  };
  await warmUp(inProcess);
  const [ours, theirs] = [[] as number[], [] as number[]];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push((await turn(1, call)).p50);
    theirs.push((await turn(1, inProcess)).p50);
  }
  return {
    name: "rpc-sign-p256-over-handler-in-process-p50",
    unit: "ms",
    ours: median(ours),
    theirs: median(theirs),
    ratio: median(ours.map((each, round) => each / theirs[round]!)),
    target: "none",
    met: true,
  };
};
