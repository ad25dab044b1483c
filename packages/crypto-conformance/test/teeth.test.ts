import type { CryptoProvider } from "@lango/crypto-core";
import { afterAll, describe, expect, test } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import type { CheckContext } from "../src/index.ts";
import { CHECKS } from "../src/index.ts";
import { createContext, runCheck } from "../src/run.ts";
import type { Fault } from "./faults/fault.ts";
import { FAULTS } from "./faults.ts";
import { createReference } from "./reference-provider.ts";

// A check that never fails is worth nothing. Each has one fault planted for it, and has to be the only one to notice it.

test("every check has a planted fault", () => {
  expect(FAULTS.map(({ check }) => check)).toEqual(CHECKS.map(({ name }) => name));
});

// All 107 × 107 runs take 15 seconds. By default each fault meets the checks of the same operation, where it would be
// noticed twice if anywhere.
const everyCheck = torture(0, 1) === 1;
const operationOf = (name: string) => /^\w+/.exec(name)?.[0];

describe("exactly the check for it notices", () => {
  let ran = 0;
  test.each(FAULTS)("$check", async (fault) => {
    const operation = operationOf(fault.check);
    const checks = CHECKS.filter(({ name }) => everyCheck || operationOf(name) === operation);
    expect(await failing(faulty(fault), checks)).toEqual([fault.check]);
    ran += checks.length;
  });

  afterAll(() => report("checks that met a planted fault", new Map([["as expected", ran]])));
});

test("a signature that openssl refuses is noticed", async () => {
  const openssl = { version: "OpenSSL 3", verify: async () => false };
  const failed = await failing({ ...createContext(createReference(), undefined), openssl });
  expect(failed).toEqual(
    CHECKS.map(({ name }) => name).filter((name) => name.includes("openssl accept")),
  );
});

test("a rejection that nobody handles is noticed", async () => {
  const harness = createReference();
  const honest = harness.provider as Required<CryptoProvider>;
  const provider: CryptoProvider = {
    ...honest,
    random: (request) => {
      request.signal?.addEventListener("abort", () => void Promise.reject(new Error("lost")));
      return honest.random(request);
    },
  };
  const name = "abort: leaves the provider usable and no rejection unhandled";
  const checks = CHECKS.filter((check) => check.name === name);
  // Vitest would end the run for it.
  const listeners = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  try {
    expect(await failing(createContext({ ...harness, provider }, undefined), checks)).toEqual([
      name,
    ]);
  } finally {
    for (const listener of listeners) process.on("unhandledRejection", listener);
  }
});

function faulty(fault: Fault): CheckContext {
  const harness = createReference();
  const honest = harness.provider as Required<CryptoProvider>;
  const provider = { ...honest, ...fault.provider?.(honest) };
  const context = createContext({ ...harness, provider }, undefined);
  return { ...context, client: { ...context.client, ...fault.client?.(context.client, provider) } };
}

async function failing(context: CheckContext, checks = CHECKS): Promise<string[]> {
  const failed: string[] = [];
  for (const check of checks) {
    await runCheck(check, context).catch(() => failed.push(check.name));
  }
  return failed;
}
