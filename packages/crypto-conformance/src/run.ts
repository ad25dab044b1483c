import { type CryptoProvider, createCryptoClient } from "@lango/crypto-core";
import { CHECKS } from "./checks.ts";
import type { Check, CheckContext, Harness } from "./harness.ts";
import { absentKey, assertRefused, offers } from "./needs.ts";
import { findOpenssl, type Openssl } from "./openssl.ts";

/** How one check ended. */
export interface CheckResult {
  readonly name: string;
  /**
   * `refused`: the provider does not offer what the check needs, and refuses it as it must. `not-applicable`: the
   * harness has no key for it; only {@link runChecks} gives that.
   */
  readonly outcome: "passed" | "refused" | "failed" | "not-applicable";
  readonly durationMs: number;
  /** Why it failed, is not applicable or was refused. */
  readonly reason?: string;
  /** What was thrown, if it failed. */
  readonly error?: unknown;
}

/** What {@link runChecks} found. */
export interface CheckReport {
  readonly results: readonly CheckResult[];
  /** Whether no check failed. */
  readonly ok: boolean;
  /** The second verifier of signatures, e.g. `OpenSSL 3.0.19`; `undefined` if node:crypto was the only one. */
  readonly openssl: string | undefined;
}

export interface RunChecksOptions {
  /** Called after each check. */
  readonly onResult?: (result: CheckResult) => void;
  /** Default: all of {@link CHECKS}. */
  readonly checks?: readonly Check[];
}

/**
 * Runs the checks on a provider, one after another, and closes it.
 *
 * For a live provider with whatever keys it has: a check without its key is `not-applicable`, and says which key that is.
 * The tests of a provider use `describeProvider` of `@lango/crypto-conformance/vitest`, where that is a failure.
 *
 * @returns Resolves also when checks failed.
 */
export async function runChecks(
  harness: Harness,
  { onResult, checks = CHECKS }: RunChecksOptions = {},
): Promise<CheckReport> {
  const openssl = await findOpenssl();
  const context = createContext(harness, openssl);
  const results: CheckResult[] = [];
  try {
    for (const check of checks) {
      const result = await resultOf(check, context);
      results.push(result);
      onResult?.(result);
    }
  } finally {
    await harness.provider.close();
  }
  const ok = results.every(({ outcome }) => outcome !== "failed");
  return { results, ok, openssl: openssl?.version };
}

/** Puts together what checks get. */
export function createContext(harness: Harness, openssl: Openssl | undefined): CheckContext {
  return {
    ...harness,
    provider: harness.provider as Required<CryptoProvider>,
    client: createCryptoClient({ provider: harness.provider }),
    openssl,
  };
}

/**
 * Runs one check, or, where the provider does not offer what it needs, the check that it refuses that.
 *
 * @returns The need that it refuses.
 * @throws What the check throws; an `Error` that names the key if the harness lacks one.
 */
export async function runCheck(check: Check, context: CheckContext): Promise<string | undefined> {
  const refused = check.needs.find((need) => !offers(context.provider, need));
  if (refused !== undefined) {
    await assertRefused(context, refused);
    return refused;
  }
  const absent = missingKey(check, context);
  if (absent !== undefined) throw new Error(`The harness lacks ${absent}`);
  await check.run(context);
  return undefined;
}

async function resultOf(check: Check, context: CheckContext): Promise<CheckResult> {
  const { name } = check;
  const start = performance.now();
  const end = (outcome: CheckResult["outcome"], reason?: string, error?: unknown): CheckResult => ({
    name,
    outcome,
    durationMs: performance.now() - start,
    ...(reason !== undefined && { reason }),
    ...(error !== undefined && { error }),
  });
  const offered = check.needs.every((need) => offers(context.provider, need));
  const absent = offered ? missingKey(check, context) : undefined;
  if (absent !== undefined) return end("not-applicable", `needs ${absent}`);
  try {
    const refused = await runCheck(check, context);
    return refused === undefined ? end("passed") : end("refused", `${refused} is not offered`);
  } catch (error) {
    return end("failed", error instanceof Error ? error.message : String(error), error);
  }
}

function missingKey(check: Check, context: CheckContext): string | undefined {
  for (const need of check.needs) {
    const absent = absentKey(context, need);
    if (absent !== undefined) return absent;
  }
  return undefined;
}
