import { writeFileSync } from "node:fs";
import type {} from "@lango/crypto-conformance/vitest";
import type { Reporter, SerializedError, TestModule, Vitest } from "vitest/node";
import { conformanceLines, major } from "./conformance.ts";
import { failureLines, lastLine, skippedLines, type Totals } from "./totals.ts";

/**
 * Prints the plain last line that Vitest lacks. Under `npm test`, which adds up several runs, it writes its totals
 * to the file named by `LANGO_TEST_TOTALS` instead.
 */
export default class TotalsReporter implements Reporter {
  #filtered = false;

  onInit(vitest: Vitest): void {
    // With -t, every test that does not match counts as skipped for Vitest; nobody wants those listed.
    this.#filtered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly SerializedError[],
    reason: "passed" | "interrupted" | "failed",
  ): void {
    const totals = count(modules);
    totals.failures.push(...unhandledErrors.map((error) => `outside a test: ${firstLine(error)}`));
    if (reason === "interrupted") totals.failures.push("the run was interrupted");
    if (this.#filtered) totals.skipped = [];
    const file = process.env["LANGO_TEST_TOTALS"];
    if (file) writeFileSync(file, JSON.stringify(totals));
    else {
      const table = conformanceLines(totals.conformance);
      const lines = [...table, ...failureLines(totals), ...skippedLines(totals), lastLine(totals)];
      process.stdout.write(`${lines.join("\n")}\n`);
    }
  }
}

/** Adds up tests, and the files and suites that broke before or beside their tests. */
export function count(modules: readonly TestModule[]): Totals {
  const totals: Totals = { passed: 0, failures: [], skipped: [], conformance: [] };
  for (const module of modules) {
    // A run without projects has one, without a name.
    const inProject = (name: string): string =>
      module.project.name === "" ? name : `${module.project.name} > ${name}`;
    const failed = (name: string, errors: readonly { readonly message: string }[] = []): void => {
      totals.failures.push(`${inProject(name)}: ${firstLine(errors[0])}`);
    };
    if (module.errors().length > 0) failed(module.relativeModuleId, module.errors());
    for (const suite of module.children.allSuites()) {
      if (suite.errors().length > 0) failed(suite.fullName, suite.errors());
    }
    for (const test of module.children.allTests()) {
      const result = test.result();
      const { conformance } = test.meta();
      if (conformance !== undefined) {
        totals.conformance.push({
          ...conformance,
          node: major(process.versions.node),
          name: test.name,
          passed: result.state === "passed",
        });
      }
      if (result.state === "passed") totals.passed += 1;
      else if (result.state === "skipped") {
        totals.skipped.push({
          test: inProject(test.fullName),
          reason: result.note ?? "no reason given",
        });
      }
      // Failed, or never finished.
      else failed(test.fullName, result.errors);
    }
  }
  return totals;
}

const firstLine = (error: { readonly message: string } | undefined): string =>
  error?.message.split("\n", 1)[0] ?? "it never finished";
