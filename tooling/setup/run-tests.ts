// `npm test`: the services, then Vitest on this Node and, for the packages that promise it, on Node 22; one sum at the end.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { findService, missingService, serviceVariable } from "../services/find.ts";
import { installMissing } from "../services/install.ts";
import type { Service } from "../services/service.ts";
import { services } from "../services/table.ts";
import { conformanceLines, unchecked } from "../vitest/conformance.ts";
import { failureLines, lastLine, skippedLines, sum, type Totals } from "../vitest/totals.ts";
import { packageFolders, toolProgram } from "./build.mjs";
import { root, runVisibly, SetupError, toolsFolder } from "./step.mjs";

const filters = process.argv.slice(2);
const requireAll = process.env["LANGO_TEST_REQUIRE"] === "all";
const missing: { readonly reason: string; readonly failed: boolean }[] = [];
const env: NodeJS.ProcessEnv = { ...process.env };

installMissing();
for (const service of services) {
  const reason = await broughtOrReason(service);
  const found = findService(service);
  env[serviceVariable(service.name)] = found ?? "";
  if (found === undefined) {
    missing.push({
      reason: `service ${reason ?? missingService(service)}. Lost: ${service.provides}.`,
      failed: requireAll && service.optional !== true,
    });
  }
}
const node22 = env[serviceVariable("node22")];

const runs = [await vitest(process.execPath, filters)];
// With arguments somebody is after a few tests, not after the whole.
if (node22 && filters.length === 0) {
  process.stdout.write("\nThe packages that promise Node 22, on Node 22:\n");
  runs.push(
    await vitest(
      node22,
      node22Projects().flatMap((name) => ["--project", name]),
    ),
  );
}

const totals = sum(runs);
if (filters.length === 0) {
  for (const subject of unchecked(totals.conformance, services))
    missing.push({ reason: `conformance of ${subject}: no check was run`, failed: requireAll });
}
totals.failures.push(
  ...missing.filter(({ failed }) => failed).map(({ reason }) => `missing ${reason}`),
);
const lines = [
  ...conformanceLines(totals.conformance),
  ...missing.filter(({ failed }) => !failed).map(({ reason }) => `MISSING  ${reason}`),
  ...failureLines(totals),
  ...skippedLines(totals),
];
if (lines.length > 0) process.stdout.write(`\n${lines.join("\n")}\n`);
process.stdout.write(`${lastLine(totals)}\n`);
process.exitCode = totals.failures.length === 0 && totals.passed > 0 ? 0 : 1;

/** Fetches what npm has; what went wrong, if something did. */
async function broughtOrReason(service: Service): Promise<string | undefined> {
  try {
    await service.bring?.();
    return undefined;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return `${service.name}: ${error.message}`;
  }
}

/** Packages whose manifest promises Node 22 to their users. */
function node22Projects(): string[] {
  return packageFolders(["packages"])
    .filter((folder) => {
      const manifest = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8"));
      return manifest.engines.node.startsWith(">=22");
    })
    .map((folder) => path.basename(folder));
}

/** One Vitest run; its reporter leaves the totals in a file. A run that left none broke down: one failure. */
async function vitest(node: string, args: string[]): Promise<Totals> {
  const file = path.join(toolsFolder, "test-totals.json");
  mkdirSync(toolsFolder, { recursive: true });
  rmSync(file, { force: true });
  const status = await runVisibly(
    node,
    [toolProgram("vitest"), "run", "--config", "vitest.workspace.ts", ...args],
    { ...env, LANGO_TEST_TOTALS: file },
  );
  if (!existsSync(file)) {
    return { passed: 0, failures: [`Vitest broke down (${status})`], skipped: [], conformance: [] };
  }
  const totals: Totals = JSON.parse(readFileSync(file, "utf8"));
  // Vitest ended badly for a reason that no test names.
  if (status !== 0 && totals.failures.length === 0) {
    totals.failures.push(`Vitest ended with status ${status}`);
  }
  return totals;
}
