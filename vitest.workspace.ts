import { readdirSync } from "node:fs";
import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

// The root configuration of Vitest, passed with --config: Vitest 4 and later read no vitest.workspace.ts by themselves.
const conditions = ["@lango/source", ...defaultServerConditions];
const projects = ["packages", "apps", "tooling"].flatMap((group) =>
  readdirSync(new URL(group, import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => ({
      extends: true as const,
      test: { name: entry.name, root: `./${group}/${entry.name}`, include: ["test/**/*.test.ts"] },
    })),
);

export default defineConfig({
  // Tests run from the sources of every package; nothing has to be built first.
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects,
    testTimeout: 30_000,
    passWithNoTests: true,
  },
});
