import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  type CircuitState,
  type CryptoErrorCode,
  type CryptoProvider,
  createComposite,
  createResilientProvider,
  type EncryptResult,
  formatKeyUri,
  isCryptoError,
  parseKeyUri,
} from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import type { SeenRequest } from "./fault.ts";
import type { FaultProxy } from "./proxy.ts";
import type { FaultRow, Outcome } from "./row.ts";

/** A provider whose client asks a real server through a fault proxy. */
export interface Site {
  readonly proxy: FaultProxy;
  /** Without resilience. */
  readonly provider: CryptoProvider;
  /** A key for encryption. */
  readonly keyId: string;
  /** Tells the requests of an operation from others, such as those for a token. */
  readonly isRequestOf: (operation: "encrypt" | "decrypt") => (request: SeenRequest) => boolean;
}

const PLAINTEXT = new TextEncoder().encode("a value under test");
const DEADLINE_MS = 10_000;
const OPEN_MS = 30_000;
const LASTING = Number.POSITIVE_INFINITY;

/**
 * Lets a fault strike the provider in its full dress (deadline, retries, breaker, composite with a local fallback) and
 * tells what came of it. Asserts as well that when the fault is over the same provider works again, after one probe.
 */
export async function observe(site: Site, row: FaultRow): Promise<Outcome> {
  const { proxy } = site;
  const operation = row.operation ?? "encrypt";
  const match = site.isRequestOf(operation);
  proxy.clear();
  // Connections and tokens are there; what is to be decrypted is made before the fault.
  const sealed = await site.provider.encrypt({ keyId: site.keyId, plaintext: PLAINTEXT });
  const call: Call = (provider, keyId, timeoutMs = row.timeoutMs) =>
    operation === "encrypt"
      ? provider.encrypt({ keyId, timeoutMs, plaintext: PLAINTEXT })
      : provider.decrypt({ ...sealed, keyId, timeoutMs });
  const ask = (provider: CryptoProvider, timeoutMs?: number) =>
    outcomeOf(() => call(provider, site.keyId, timeoutMs));
  const attempts = () => proxy.requests().filter(match).length;
  const strike = (times: number) => {
    proxy.clear();
    proxy.inject({ match, times, fault: row.fault });
  };

  strike(1);
  const struckOnce = await ask(dressed(site).provider);

  strike(LASTING);
  const { provider, breaker, pass } = dressed(site);
  const code = await ask(provider);
  assert.ok(code !== "ok", "the fault has to be seen");
  const seen = attempts();
  for (let more = 1; more < 5 && breaker() !== "open"; more++) await ask(provider);
  const state = breaker();

  const fallback = await fallsBack(dressed(site).provider, site.keyId, call);

  proxy.clear();
  if (state === "open") {
    assert.equal(await ask(provider), "ERR_CIRCUIT_OPEN");
    assert.equal(attempts(), 0, "an open circuit asks nothing");
    pass(OPEN_MS);
  }
  // The short deadline of a slow fault is not for a busy machine.
  assert.equal(await ask(provider, DEADLINE_MS), "ok", "it works again without a restart");
  assert.equal(attempts(), 1, "one probe is enough");
  assert.equal(breaker(), "closed");
  return { code, attempts: seen, struckOnce, breaker: state, fallback };
}

type Call = (provider: CryptoProvider, keyId: string, timeoutMs?: number) => Promise<unknown>;

/** The provider as the CLI composes it, but for pauses that are short. */
function dressed({ provider }: Site) {
  let state: CircuitState = "closed";
  let now = 0;
  const resilient = createResilientProvider(provider, {
    deadline: { timeoutMs: DEADLINE_MS },
    retry: { baseDelayMs: 1, maxDelayMs: 5 },
    circuitBreaker: {
      openMs: OPEN_MS,
      clock: () => now,
      onStateChange: ({ to }) => {
        state = to;
      },
    },
  });
  const pass = (ms: number): void => {
    now += ms;
  };
  return { provider: resilient, breaker: () => state, pass };
}

/** How a call ended. What is thrown that is no `CryptoError` fails the test. */
export async function outcomeOf(work: () => Promise<unknown>): Promise<"ok" | CryptoErrorCode> {
  try {
    await work();
    return "ok";
  } catch (error) {
    if (isCryptoError(error)) return error.code;
    throw error;
  }
}

/** Whether a local key takes over; its result then has to be told from the service's, and readable. */
async function fallsBack(service: CryptoProvider, keyId: string, call: Call): Promise<boolean> {
  const local = createLocalProvider({
    keys: [
      {
        id: "spare",
        algorithm: "aes-256-gcm",
        versions: [{ version: 1, material: randomBytes(32) }],
      },
    ],
  });
  const switches: string[] = [];
  const composite = createComposite({
    providers: { [service.name]: service, local },
    fallback: { from: service.name, to: "local:spare" },
    onSwitch: ({ to }) => {
      switches.push(to);
    },
  });
  const result = await call(composite, formatKeyUri(service.name, keyId)).catch(() => undefined);
  if (result === undefined) {
    assert.deepEqual(switches, []);
    return false;
  }
  const sealed = result as EncryptResult;
  assert.equal(sealed.degraded, true, "a fallback is never silent");
  assert.equal(parseKeyUri(sealed.keyId).scheme, "local");
  assert.deepEqual(switches, ["local:spare"]);
  assert.deepEqual(await composite.decrypt(sealed), PLAINTEXT);
  return true;
}
