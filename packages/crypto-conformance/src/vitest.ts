import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, test } from "vitest";
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
    beforeAll(async () => {
      const openssl = await findOpenssl();
      if (openssl === undefined) {
        console.warn(`${name}: NO OPENSSL 3 FOUND: only node:crypto verifies the signatures`);
      }
      context = createContext(await setUp(), openssl);
      for (const known of Object.keys(context.serverFaults ?? {})) {
        assert.ok(
          CHECKS.some((check) => check.name === known),
          `serverFaults names "${known}", which is no check`,
        );
      }
    });
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
