import { TestRunner, test } from "vitest";
import { findService, missingService, serviceNamed, serviceVariable } from "../services/find.ts";

/**
 * The path of a program that a test needs beside Node, such as `requireService("openssl")`.
 *
 * Called inside a test. Where the service is missing, the test is skipped with the reason, or fails when
 * `LANGO_TEST_REQUIRE=all` and the service is not optional.
 */
export function requireService(name: string): string {
  const found = locate(name);
  if (found) return found;
  const service = serviceNamed(name);
  const reason = missingService(service);
  const required = process.env["LANGO_TEST_REQUIRE"] === "all" && service.optional !== true;
  const running = TestRunner.getCurrentTest();
  // A hook has no test to skip: withService is for files whose hooks need a service.
  if (required || running === undefined) throw new Error(reason);
  return running.context.skip(reason);
}

/**
 * Defines tests that all need a service, with hooks that need it too, such as a conformance run. Where it is missing, one
 * test stands for them and ends as {@link requireService} ends it.
 */
export function withService(name: string, define: (program: string) => void): void {
  const found = locate(name);
  if (found) define(found);
  else test(`needs ${name}`, () => void requireService(name));
}

// Outside `npm test` nobody has looked yet.
const locate = (name: string): string | undefined =>
  process.env[serviceVariable(name)] ?? findService(serviceNamed(name));
