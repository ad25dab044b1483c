import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MAX_FRAME_BYTES } from "../src/protocol/frame.ts";
import { VERSIONS } from "../src/protocol/hello.ts";
import { schemas } from "../src/protocol/schemas.ts";
import { INSIDERS } from "./support/insiders.ts";
import { STRANGERS } from "./support/strangers.ts";
import { TRAITORS } from "./support/traitors.ts";

const page = readFileSync(new URL("../../../docs/companion-protocol.md", import.meta.url), "utf8");

const table = (): string => {
  const rows = [
    "| who | attempt | sees |",
    "|---|---|---|",
    ...STRANGERS.map(({ attempt, sees }) => `| a stranger | ${attempt} | ${sees} |`),
    ...INSIDERS.map(({ attempt, sees }) => `| a paired agent | ${attempt} | ${sees} |`),
    ...TRAITORS.map(
      ({ attempt, sees, ends }) =>
        `| a companion; the request ends: ${ends} | ${attempt} | ${sees} |`,
    ),
  ];
  return rows.join("\n");
};

test("docs/companion-protocol.md lists the attempts as they are tested", () => {
  const [, listed] = /<!-- attempts -->\n(.*)\n<!-- \/attempts -->/s.exec(page) ?? [];
  expect(listed).toBe(table());
});

test("docs/companion-protocol.md names every method, the version and the size of a frame", () => {
  for (const method of Object.keys(schemas)) expect(page).toContain(`\n| \`${method}\` |`);
  for (const version of VERSIONS) expect(page).toContain(version);
  expect(page).toContain(MAX_FRAME_BYTES.toLocaleString("en-US"));
});
