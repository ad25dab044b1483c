// An agent in a process of its own that asks a companion for signatures without a pause: `node rpc-agent.ts` with its settings as
// JSON. A line of its standard input ends the load; then it waits until a call works again, and prints what came of everything.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { type ChannelListener, createChannelListener, loadIdentity } from "@lango/companion";
import {
  createCryptoClient,
  createResilientProvider,
  isCryptoError,
  randomBytesFresh,
  toHex,
} from "@lango/crypto-core";
import { createDialInLink, createRpcProvider } from "@lango/crypto-rpc";
import { type Pin, peersOf } from "../../packages/crypto-rpc/test/support/pins.ts";

export interface AgentSettings {
  /** Of its identity. */
  readonly folder: string;
  readonly pins: readonly Pin[];
  /** Where the companion listens; or nothing, and it dials in. */
  readonly url?: string;
  readonly timeoutMs: number;
  readonly inFlight: number;
  /** Milliseconds after which it is clear that no call works any more. */
  readonly giveUpMs: number;
}

/** What came of all calls. */
export interface AgentReport {
  /** How many ended in which way; `ok`, or the code of the error. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Milliseconds of the call that took longest. */
  readonly longestMs: number;
  /** Errors that were no `CryptoError`. */
  readonly strange: readonly string[];
  /** Milliseconds until a call worked after the load had ended; `null`: none did. */
  readonly worksAfterMs: number | null;
  /** What the last call ended with. */
  readonly last: string;
  /** Timers and sockets that were left when everything was closed. */
  readonly left: readonly string[];
}

const settings: AgentSettings = JSON.parse(process.argv[2]!);
const { timeoutMs, giveUpMs } = settings;
const identity = await loadIdentity({ folder: settings.folder, name: "agent" });
const peers = peersOf(settings.pins);

let listener: ChannelListener | undefined;
const listen = async (port: number): Promise<void> => {
  listener = createChannelListener({ role: "agent", identity, peers });
  const bound = await listener.listen({ port });
  if (port === 0) process.stdout.write(`${bound.port}\n`);
  ownPort = bound.port;
};
let ownPort = 0;
if (settings.url === undefined) await listen(0);
else process.stdout.write("0\n");

const link = createDialInLink({
  listener: {
    get channels() {
      return listener?.channels ?? [];
    },
  },
});
const way = settings.url === undefined ? { link } : { url: settings.url, identity, peers };
const provider = createRpcProvider({ ...way, timeoutMs });
const client = createCryptoClient({ provider: createResilientProvider(provider) });

const outcomes: Record<string, number> = {};
const strange: string[] = [];
let longestMs = 0;

const call = async (): Promise<string> => {
  const message = randomBytesFresh(32);
  const startedAt = performance.now();
  let outcome = "ok";
  try {
    await client.sign({ keyId: "ed", message, algorithm: "ed25519" });
  } catch (error) {
    outcome = isCryptoError(error) ? error.code : "strange";
    if (!isCryptoError(error)) strange.push(`${toHex(message)} ${String(error)}`);
  }
  longestMs = Math.max(longestMs, performance.now() - startedAt);
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  return outcome;
};

let isOver = false;
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  if (line === "stop") isOver = true;
  if (line === "restart the listener") {
    await listener?.close();
    await listen(ownPort);
  }
});
lines.on("close", () => process.exit());

const load = async (): Promise<void> => {
  while (!isOver) if ((await call()) !== "ok") await sleep(20);
};
await Promise.all(Array.from({ length: settings.inFlight }, load));

const endedAt = performance.now();
let last = await call();
while (last !== "ok" && performance.now() - endedAt < giveUpMs) {
  await sleep(50);
  last = await call();
}
const worksAfterMs = last === "ok" ? performance.now() - endedAt : null;
await client.close();
await listener?.close();
await sleep(100);
const left = process
  .getActiveResourcesInfo()
  .filter((name) => /Timeout|TCP|TLS|Immediate/.test(name));
const report: AgentReport = { outcomes, longestMs, strange, worksAfterMs, last, left };
process.stdout.write(`${JSON.stringify(report)}\n`);
await once(process.stdin, "end");
