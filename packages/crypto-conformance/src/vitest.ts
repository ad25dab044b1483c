import assert from "node:assert/strict";
import { afterAll, beforeEach, describe, test } from "vitest";
import { CHECKS } from "./checks.ts";
import type { CheckContext, Harness } from "./harness.ts";
import { findOpenssl } from "./openssl.ts";
import { createContext, runCheck } from "./run.ts";

declare module "vitest" {
  interface TaskMeta {
    /** Set on each check by {@link describeProvider}, so that a reporter can count them. */
    conformance?: { readonly subject: string; readonly serverFault?: string };
  }
}

// Servers in Python take their time to start, and RSA keys to be made.
const SET_UP_MS = 120_000;

/**
 * Registers every check as a Vitest test. None is skipped: what the provider does not offer, it has to refuse, and a key
 * that the harness lacks fails the test.
 *
 * @param name - What is checked: the provider, and the server behind it where there is one, as in `aws-kms on moto`.
 * @param setUp - Called once, before the first test. The provider is closed by the last checks.
 */
export function describeProvider(name: string, setUp: () => Harness | Promise<Harness>): void {
  // The checks that close the provider come last, so the order stays as it is, whatever the configuration says.
  describe(name, { shuffle: false, concurrent: false }, () => {
    let context: CheckContext;
    let failure: unknown;
    const prepare = async (): Promise<CheckContext> => {
      const openssl = await findOpenssl();
      if (openssl === undefined) {
        console.warn(`${name}: NO OPENSSL 3 FOUND: only node:crypto verifies the signatures`);
      }
      const prepared = createContext(await setUp(), openssl);
      for (const known of Object.keys(prepared.serverFaults ?? {})) {
        assert.ok(
          CHECKS.some((check) => check.name === known),
          `serverFaults names "${known}", which is no check`,
        );
      }
      return prepared;
    };
    // Before the first test rather than before all: only inside a test can `setUp` skip it, where its server is missing.
    beforeEach(async () => {
      if (failure !== undefined) throw failure;
      try {
        context ??= await prepare();
      } catch (error) {
        // A skip is for this test only; what broke is broken for all.
        if ((error as { code?: unknown }).code !== "VITEST_PENDING") failure = error;
        throw error;
      }
    }, SET_UP_MS);
    afterAll(() => context?.provider.close());
    for (const check of CHECKS) {
      test(check.name, async ({ task }) => {
        const serverFault = context.serverFaults?.[check.name];
        task.meta.conformance = {
          subject: name,
          ...(serverFault !== undefined && { serverFault }),
        };
        if (serverFault === undefined) {
          await runCheck(check, context);
        } else {
          await assert.rejects(
            runCheck(check, context),
            `It passes: the server is mended. Take it out of serverFaults, which says: ${serverFault}`,
          );
        }
      });
    }
  });
}
