import { existsSync, readdirSync } from "node:fs";
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
        // Builds, packs and compilers keep both cores busy: they run when the tests of the code are done.
        sequence: { groupOrder: name === "checks" ? 1 : 0 },
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
