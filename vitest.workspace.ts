import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

// The root configuration of Vitest, passed with --config: Vitest 4 and later read no vitest.workspace.ts by themselves.
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
// "module" names files for bundlers: Vitest hands these conditions to Node, which cannot read such files.
const conditions = [
  "@lango/source",
  ...defaultServerConditions.filter((condition) => condition !== "module"),
];
// Hundreds of workers and child processes load the same files, and TypeScript at that: compiled once, they start in half the time.
process.env["NODE_COMPILE_CACHE"] ??= here("node_modules/.cache/node-compile");

/** Which tests run beside which; one group starts when the one before it is done. */
const turnOf = (name: string) => {
  // Deadlines and connections that are slow, cut or silent: beside other work they would measure that.
  if (name === "faults") return { maxWorkers: 1, sequence: { groupOrder: 1 } };
  // Builds, packs and compilers keep every core busy.
  if (name === "checks") return { maxWorkers: 1, sequence: { groupOrder: 2 } };
  // As many as there are cores, where Vitest would leave one to itself: tests wait for their child processes half the time.
  return { maxWorkers: availableParallelism(), sequence: { groupOrder: 0 } };
};
const projects = ["packages", "apps", "tooling"].flatMap((group) =>
  readdirSync(here(group))
    .filter((name) => existsSync(here(`${group}/${name}/test`)))
    .map((name) => ({
      extends: true as const,
      test: {
        name,
        root: here(`${group}/${name}`),
        include: ["test/**/*.test.ts"],
        globalSetup: ["test/global-setup.ts"].filter((file) =>
          existsSync(here(`${group}/${name}/${file}`)),
        ),
        ...turnOf(name),
      },
    })),
);

export default defineConfig({
  // Tests run from the sources of every package; nothing has to be built first.
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects,
    reporters: ["default", here("tooling/vitest/reporter.ts")],
    // For machines that do something else as well; what hangs has limits of its own.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    passWithNoTests: true,
  },
});
