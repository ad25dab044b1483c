import { TestRunner } from "vitest";
import { findService, missingService, serviceNamed, serviceVariable } from "../services/find.ts";

/**
 * The path of a program that a test needs beside Node, such as `requireService("openssl")`.
 *
 * Called inside a test. Where the service is missing, the test is skipped with the reason, or fails when
 * `LANGO_TEST_REQUIRE=all` and the service is not optional.
 */
export function requireService(name: string): string {
  const service = serviceNamed(name);
  // Outside `npm test` nobody has looked yet.
  const found = process.env[serviceVariable(name)] ?? findService(service);
  if (found) return found;
  const reason = missingService(service);
  if (process.env["LANGO_TEST_REQUIRE"] === "all" && service.optional !== true)
    throw new Error(reason);
  const test = TestRunner.getCurrentTest();
  if (test === undefined) throw new Error("requireService is called inside a test");
  return test.context.skip(reason);
}
