import { randomBytes } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createCryptoClient } from "@lango/crypto-core";
import { createPkcs11Provider } from "@lango/crypto-pkcs11";
import { compareThroughput, type Measure, Skipped } from "./paired.ts";

const ALGORITHM = "ecdsa-p256-sha256";
const ROWS = [
  { inFlight: 1, atLeast: 0.5 },
  { inFlight: 16, atLeast: 0.85 },
  { inFlight: 64, atLeast: 1.3 },
] as const;
const MOST = 64;
/** How many signatures one of the callers in flight makes, one after the other. */
const SIGNATURES_EACH = 16;
const RESOLUTION_MS = 1;

/** Signatures of the provider against a synchronous loop over the same token, and what they cost the event loop. */
export const measurePkcs11 = async (): Promise<Measure[]> => {
  const softhsm = await import("./softhsm.ts").then(
    ({ makeSofthsm }) => makeSofthsm(),
    (error: Error) => {
      throw new Skipped(`pkcs11js cannot be loaded: ${error.message.split("\n")[0]}`);
    },
  );
  if (softhsm === undefined)
    throw new Skipped("SoftHSM is not installed (apt-get install softhsm2)");
  const { modulePath, env, label, pin } = softhsm;
  const provider = await createPkcs11Provider({ modulePath, env, token: { label }, pin });
  const client = createCryptoClient({ provider });
  try {
    const digest = randomBytes(32);
    const sign = () => client.sign({ keyId: label, digest, algorithm: ALGORITHM });
    const measures: Measure[] = [];
    for (const { inFlight, atLeast } of ROWS) {
      const amount = inFlight * SIGNATURES_EACH;
      measures.push(
        await compareThroughput({
          name: `pkcs11-sign-${inFlight}-in-flight-vs-bare`,
          ours: () => keepInFlight(inFlight, sign),
          theirs: () => {
            for (let i = 0; i < amount; i++) softhsm.signBare(digest);
          },
          unit: "signatures/s",
          amount,
          atLeast,
          secondsPerRound: 0.5,
        }),
      );
    }
    return [...measures, await eventLoopDelay(() => keepInFlight(MOST, sign))];
  } finally {
    await client.close();
    softhsm.close();
  }
};

/** As many callers as shall be in flight, each with its next call as soon as the last one ended. */
const keepInFlight = (count: number, call: () => Promise<unknown>): Promise<unknown> =>
  Promise.all(
    Array.from({ length: count }, async () => {
      for (let i = 0; i < SIGNATURES_EACH; i++) await call();
    }),
  );

/** p99 of the event loop's delay while `work` is repeated, against that of a loop with nothing to do. */
const eventLoopDelay = async (work: () => Promise<unknown>): Promise<Measure> => {
  const idle = await delayDuring(() => new Promise((resolve) => setTimeout(resolve, 5)));
  const busy = await delayDuring(work);
  return {
    name: `pkcs11-sign-${MOST}-in-flight-event-loop-delay-p99`,
    unit: "ms",
    ours: busy,
    theirs: idle,
    ratio: busy / idle,
    target: "≤ 5 ms",
    met: busy <= 5,
  };
};

const delayDuring = async (work: () => Promise<unknown>): Promise<number> => {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const until = performance.now() + 3000;
  histogram.enable();
  while (performance.now() < until) await work();
  histogram.disable();
  // Node's histogram holds whole intervals of its timer, the delay being what is beyond the resolution.
  return Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS);
};
