import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { packageFolders } from "../build.mjs";
import { root } from "../step.mjs";
import { findRigs, type Row, readPage, writePage } from "../torture-page.ts";

const row = (rig: string, file: string, date = "2026-01-02"): Row => ({
  rig,
  times: "200",
  outcomes: "killed 150, had ended 50",
  file,
  minutes: "4",
  date,
  commit: "abc1234 and changes",
});

// By name: with the whole words, this file would be taken for one with rigs.
const TORTURE = "tooling/vitest/torture.ts";
const FUZZ = "tooling/vitest/fuzz.ts";

const files = ["packages/a/test/a.test.ts", "packages/b/test/deep/b.test.ts"] as const;

test("a page is read back as it was written, and sorted by file", () => {
  const rows = [
    row("of b", files[1]),
    row("2 of a", files[0], "2026-02-03"),
    row("1 of a", files[0]),
  ];
  const page = writePage(rows, files, "2 × a processor");
  expect(readPage(page)).toEqual([rows[2], rows[1], rows[0]]);
  expect(page).toContain("2 × a processor");
  expect(page).not.toContain("yet:");
  expect(writePage(readPage(page), files, "2 × a processor")).toBe(page);
});

test("a page names the files that have no row, and drops the rows of files that are gone", () => {
  const page = writePage(
    [row("of a", files[0]), row("gone", "packages/c/test/c.test.ts")],
    files,
    "m",
  );
  expect(readPage(page).map(({ rig }) => rig)).toEqual(["of a"]);
  expect(page).toMatch(new RegExp(`yet:\n\n- ${files[1]}\n$`));
});

test("rigs are found in folders of folders and through the files that they share", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "lango-rigs-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const write = (file: string, source: string): void => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), source);
  };
  write(TORTURE, "");
  write(FUZZ, 'import { count } from "./torture.ts";');
  write("packages/a/test/a.test.ts", `import { fuzz } from "../../../${FUZZ}";`);
  write("packages/a/test/deep/b.test.ts", 'import {\n  kills,\n} from "../rig/kills.ts";');
  // The two import each other.
  write("packages/a/test/rig/kills.ts", 'import { x } from "./more.ts";');
  write(
    "packages/a/test/rig/more.ts",
    `import { x } from "./kills.ts";\nimport { torture } from "../../../../${TORTURE}";`,
  );
  write("packages/a/test/none.test.ts", 'import { x } from "./gone.ts";\nimport "vitest";');
  expect(findRigs(folder, ["packages/a/test", "packages/none/test"])).toEqual([
    "packages/a/test/a.test.ts",
    "packages/a/test/deep/b.test.ts",
  ]);
});

test("every use of the full counts in this checkout is found, and each file reports what it met", () => {
  const folders = packageFolders(["packages", "apps", "tooling"]).map((folder) => `${folder}/test`);
  const found = findRigs(root, folders);
  expect(found).toContain("packages/vault/test/crash-rotation.test.ts");
  expect(found).toContain("packages/companion/test/discovery/sightings.test.ts");
  const own = path.relative(root, import.meta.filename);
  for (const file of packageFolders(["packages", "apps", "tooling"]).flatMap((folder) =>
    testsOf(folder),
  )) {
    if (file === own) continue;
    const source = readFileSync(path.join(root, file), "utf8");
    if (/\btorture\(|\bfuzz\(\{|LANGO_TORTURE/.test(source)) expect(found).toContain(file);
    if (/\btorture\(/.test(source)) expect(source, file).toMatch(/\breport\(/);
  }
});

function testsOf(folder: string): string[] {
  try {
    return readdirSync(path.join(root, folder, "test"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => `${folder}/test/${name}`);
  } catch {
    return [];
  }
}
