import { describe, expect, test } from "vitest";
import { groupDataKeys, rootedIn } from "../src/rooted-in.ts";

const X = "aws-kms:k1";
const Y = "aws-kms:k2";
const slot = (uri?: string, kind = uri === undefined ? "passphrase" : "provider") =>
  ({ kind, ...(uri === undefined ? {} : { uri }) }) as { kind: "provider"; uri: string };
const group = (uri: string, degraded = 0) => ({ uri, count: 2, degraded });

const ROWS: readonly [
  string,
  ReturnType<typeof slot>[],
  ReturnType<typeof group>[],
  string | null,
][] = [
  ["only slots and wraps of X", [slot(X)], [group(X)], X],
  ["two slots of X", [slot(X), slot(X)], [group(X)], X],
  ["wraps of the vault key behind slots of X", [slot(X)], [group("vault:wrap")], X],
  ["both", [slot(X)], [group("vault:wrap"), group(X)], X],
  ["no data key yet", [slot(X)], [], X],
  ["a passphrase too", [slot(X), slot()], [group(X)], null],
  ["a passphrase first", [slot(), slot(X)], [group(X)], null],
  ["only a passphrase", [slot()], [group(X)], null],
  ["recovery words too", [slot(X), slot(undefined, "recovery")], [group(X)], null],
  ["a slot of another kind with a URI", [slot(X), slot(X, "keyring")], [group(X)], null],
  ["a slot of another key", [slot(X), slot(Y)], [group(X)], null],
  ["a wrap of another key", [slot(X)], [group(X), group(Y)], null],
  ["slots of X, all wraps of Y", [slot(X)], [group(Y)], null],
  ["a degraded data key", [slot(X)], [group(X), group("vault:wrap", 1)], null],
  ["no slot", [], [group(X)], null],
];

test.each(ROWS)("rooted in: %s", (_what, slots, dataKeys, expected) => {
  expect(rootedIn(slots, dataKeys)).toBe(expected);
});

describe("groups of data keys", () => {
  test("are by wrapper and in order; retired ones are left out", () => {
    const row = (wrapUri: string, state: string, degraded = false) =>
      ({ wrapUri, state, degraded }) as Parameters<typeof groupDataKeys>[0][number];
    expect(
      groupDataKeys([
        row("vault:wrap", "active", true),
        row(X, "active"),
        row(X, "decrypt-only"),
        row("vault:wrap", "decrypt-only"),
        row(Y, "retired"),
        row("vault:wrap", "retired", true),
      ]),
    ).toEqual([
      { uri: X, count: 2, degraded: 0 },
      { uri: "vault:wrap", count: 2, degraded: 1 },
    ]);
  });
});
