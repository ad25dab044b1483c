import { afterAll, beforeAll, describe, test } from "vitest";
import { CHECKS } from "./checks.ts";
import type { CheckContext, Harness } from "./harness.ts";
import { findOpenssl } from "./openssl.ts";
import { createContext, runCheck } from "./run.ts";

/**
 * Registers every check as a Vitest test. None is skipped: what the provider does not offer, it has to refuse, and a key
 * that the harness lacks fails the test.
 *
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
    });
    afterAll(() => context?.provider.close());
    for (const check of CHECKS) {
      test(check.name, async () => {
        await runCheck(check, context);
      });
    }
  });
}
