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

  it("names each fault once, with its checks counted and where they passed", () => {
    const passed = [check("a on y", "one"), check("a on y", "two")];
    expect(lines(check("a on x", "one", fault), check("a on x", "two", fault), ...passed)).toEqual([
      "CONFORMANCE  a on x: 2 run, 2 passed, of which 2 are faults of the server",
      "  fault in 2 checks: it hashes twice (passed on a on y)",
      "CONFORMANCE  a on y: 2 run, 2 passed",
    ]);
  });

  it.each([
    ["a server of another provider", check("b on y", "one")],
    ["our own stand-in", check("a on y (own, not counted)", "one")],
    ["a server with the same fault", check("a on y", "one", fault)],
    ["a failed check", check("a on y", "one", { passed: false })],
    ["another check", check("a on y", "two")],
    ["another Node", check("a on y", "one", { node: "22" })],
  ])("says that a fault is shown nowhere when there is only %s", (_, other) => {
    expect(lines(check("a on x", "one", fault), other)).toContain(
      "  fault, shown nowhere: one: it hashes twice",
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
