import { describe, expect, it } from "vitest";
import { type ConformanceCheck, conformanceLines, unchecked } from "../conformance.ts";

const check = (subject: string, name: string, more: Partial<ConformanceCheck> = {}) => ({
  subject,
  name,
  node: "24",
  passed: true,
  ...more,
});
const fault = { serverFault: "it hashes twice" };

const lines = (...checks: ConformanceCheck[]) => conformanceLines(checks, "24.11.0");

describe("the table of the conformance checks", () => {
  it("has a line for each subject, in order", () => {
    expect(
      lines(
        check("b on x", "one"),
        check("a", "one"),
        check("b on x", "two"),
        check("own on here (own, not counted)", "one"),
      ),
    ).toEqual([
      "CONFORMANCE  b on x: 2 run, 2 passed",
      "CONFORMANCE  a: 1 run, 1 passed",
      "CONFORMANCE  own on here (own, not counted): 1 run, 1 passed",
    ]);
  });

  it("marks another Node", () => {
    expect(lines(check("a", "one"), check("a", "one", { node: "22" }))).toEqual([
      "CONFORMANCE  a: 1 run, 1 passed",
      "CONFORMANCE  a (Node 22): 1 run, 1 passed",
    ]);
  });

  it("counts what failed, and faults of the server", () => {
    expect(
      lines(
        check("a on x", "one", { passed: false }),
        check("a on x", "two", fault),
        check("a on x", "three", fault),
      )[0],
    ).toBe("CONFORMANCE  a on x: 3 run, 2 passed, 1 failed, of which 2 are faults of the server");
  });

  it.each([
    ["another server of the provider", check("a on y", "one"), "passed on a on y"],
    ["a server of another provider", check("b on y", "one"), "shown nowhere"],
    ["our own stand-in", check("a on y (own, not counted)", "one"), "shown nowhere"],
    ["a server with the same fault", check("a on y", "one", fault), "shown nowhere"],
    ["a failed check", check("a on y", "one", { passed: false }), "shown nowhere"],
    ["another check", check("a on y", "two"), "shown nowhere"],
  ])("says whether the fault is shown by %s", (_, other, where) => {
    expect(lines(check("a on x", "one", fault), other)).toContain(
      `             fault: one: it hashes twice (${where})`,
    );
  });
});

describe("subjects that have to be checked", () => {
  const services = [
    { conformance: "a on x" },
    { conformance: "a on y", optional: true },
    {},
    { conformance: "b" },
  ];

  it("are those of services that are not optional", () => {
    expect(unchecked([], services)).toEqual(["a on x", "b"]);
    expect(unchecked([check("b", "one")], services)).toEqual(["a on x"]);
  });

  it("are not made up for by another one with such a name", () => {
    expect(unchecked([check("a on x (own, not counted)", "one")], services)).toContain("a on x");
  });
});
