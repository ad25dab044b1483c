// docs/torture.md: which test files have rigs, and what each rig met when it last ran at its full count.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** What a rig met, the last time that its file passed. */
export interface Row {
  readonly rig: string;
  readonly times: string;
  readonly outcomes: string;
  /** Its test file, from the root of the checkout. */
  readonly file: string;
  /** Of the whole file. */
  readonly minutes: string;
  readonly date: string;
  readonly commit: string;
}

/** What counts and reports in every rig, whichever files lie between it and the test. */
const HELPERS = ["tooling/vitest/torture.ts", "tooling/vitest/fuzz.ts"];
const COLUMNS = ["rig", "times", "outcomes", "file", "minutes", "date", "commit"] as const;

/**
 * The test files with a rig: those that use the counts of `npm run torture`, by themselves or through other files of tests.
 *
 * @param folders - Where tests are, from the root, such as `packages/vault/test`.
 */
export function findRigs(root: string, folders: readonly string[]): string[] {
  return folders
    .filter((folder) => existsSync(path.join(root, folder)))
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
        path.join(folder, name),
      ),
    )
    .filter((file) => file.endsWith(".test.ts") && reaches(root, file, new Set()))
    .sort();
}

function reaches(root: string, file: string, seen: Set<string>): boolean {
  if (HELPERS.includes(file)) return true;
  if (seen.has(file) || !existsSync(path.join(root, file))) return false;
  seen.add(file);
  const source = readFileSync(path.join(root, file), "utf8");
  return [...source.matchAll(/ from "(\.[^"]+\.ts)"/g)].some(([, target = ""]) =>
    reaches(root, path.join(path.dirname(file), target), seen),
  );
}

/** The rows of a page that {@link writePage} wrote. */
export function readPage(page: string): Row[] {
  return page
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(1)
    .map((line) => line.slice(2, -2).split(" | "))
    .map(
      (cells) =>
        Object.fromEntries(COLUMNS.map((name, at) => [name, cells[at] ?? ""])) as unknown as Row,
    );
}

/** @param files - Every file with rigs: rows of other files go, and files without rows are named. */
export function writePage(rows: readonly Row[], files: readonly string[], machine: string): string {
  const kept = rows.filter((row) => files.includes(row.file));
  kept.sort((a, b) => a.file.localeCompare(b.file) || a.rig.localeCompare(b.rig));
  const without = files.filter((file) => kept.every((row) => row.file !== file));
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    "# Torture",
    "",
    "What every rig met at its full count; `npm test` runs a short form of each. Written by `npm run torture`, a test file at a",
    "time: `npm run torture -- crash-rotation` renews the rows of the files whose path has that word, and without a word all are run,",
    "those that were not run for the longest time first. A row stands only when all tests of its file passed, and tells of the last",
    "time that they did; what came after its commit it does not tell. Minutes are those of the whole file.",
    "",
    `Machine of the newest rows: ${machine}.`,
    "",
    line(["Rig", "Times", "Outcomes", "Test file", "Minutes", "Date", "Commit"]),
    "|---|---|---|---|---|---|---|",
    ...kept.map((row) => line(COLUMNS.map((name) => row[name]))),
    "",
    ...(without.length === 0
      ? []
      : ["Not run at the full count yet:", "", ...without.map((file) => `- ${file}`), ""]),
  ].join("\n");
}
