import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { CryptoError } from "@lango/crypto-core";
import { fileError } from "@lango/envelope";
import type { AnchorReport, AuditReport, VerifyOptions } from "@lango/vault";
import type { Handler, Result } from "../cli/command.ts";
import { counted, printable } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { withVault } from "../cli/vault.ts";

/** Checks the audit log: its chain, and with the key its MACs. */
export const run: Handler = (context, args) => {
  const files = args.strings("anchor-key");
  const options: VerifyOptions = {
    rows: args.flag("rows"),
    ...(files.length === 0 ? {} : { anchorKeys: files.map(readPublicKey) }),
  };
  return args.flag("links")
    ? withReader(context, async ({ audit }) => toResult(await audit.verifyLinks(options), "links"))
    : withVault(context, args, {}, async ({ audit }) =>
        toResult(await audit.verify(options), "full"),
      );
};

function toResult(report: AuditReport, checked: "full" | "links"): Result {
  const { ok, rows, head, unanchored, faults, spool } = report;
  const lines = [
    `${counted(rows, "row")}, head ${head}`,
    ...faults.map(({ seq, problem }) => (seq === 0 ? "" : `row ${seq}: `) + printable(problem)),
    ...anchorLines(report.anchors),
    ...(unanchored === 0
      ? []
      : [
          `not anchored: whoever can write the database could remove ${newest(unanchored)} unnoticed`,
        ]),
    ...(spool.waiting === 0 ? [] : [`rows that wait in the spool: ${spool.waiting}`]),
    ...spool.damaged.map((seq) => `row ${seq} says that a spool file was damaged`),
  ];
  if (checked === "links") {
    lines.push("the chain was checked, the MACs were not: they need the key");
  }
  return {
    data: { checked, ...report },
    text: lines.join("\n"),
    ...(ok
      ? {}
      : {
          failure: new CryptoError(
            "ERR_INTEGRITY",
            `The audit log has ${counted(faults.length, "fault")}`,
          ),
        }),
  };
}

const newest = (rows: number): string =>
  rows === 1 ? "the newest row" : `the newest ${rows} rows`;

const KEY_SOURCES = {
  given: "the key that was given",
  registry: "the key of the registry",
  anchor: "the key that it names itself",
} as const;

function anchorLines({ checkedWith, outside, last, remarks, problem }: AnchorReport): string[] {
  const { given, registry, anchor } = checkedWith;
  const checked = given + registry + anchor;
  return [
    ...(checked + outside === 0
      ? []
      : [`${counted(checked, "anchor")}, ${outside} of them found outside the database`]),
    ...(last === undefined
      ? []
      : [
          `the last one signs row ${last.seq}, by ${printable(last.uri)}, checked with ${KEY_SOURCES[last.key]}`,
        ]),
    ...remarks.map((remark) => `${remark}.`),
    ...(problem === undefined ? [] : [`no newer one: ${printable(problem)}`]),
  ];
}

function readPublicKey(file: string): Uint8Array {
  let pem: Buffer;
  try {
    pem = readFileSync(file);
  } catch (error) {
    throw fileError("read", file, error);
  }
  try {
    return createPublicKey(pem).export({ format: "der", type: "spki" });
  } catch (cause) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `${file} holds no public key in PEM`, {
      cause,
      context: { hint: "lango keys public-key prints one" },
    });
  }
}
