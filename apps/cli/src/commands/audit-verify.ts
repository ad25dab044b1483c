import { CryptoError } from "@lango/crypto-core";
import type { AuditReport } from "@lango/vault";
import { usageError } from "../cli/arguments.ts";
import type { Handler, Result } from "../cli/command.ts";
import { printable } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { withVault } from "../cli/vault.ts";

/** Checks the audit log: its chain, and with the key its MACs. */
export const run: Handler = (context, args) => {
  const rows = args.flag("rows");
  if (!args.flag("links")) {
    return withVault(context, args, {}, async (vault) =>
      toResult(await vault.audit.verify({ rows }), "full"),
    );
  }
  if (rows && args.flag("links")) {
    // Row hashes need no key, but the answer would look like the one that does.
    throw usageError("--rows needs the key; leave out --links");
  }
  return withReader(context, async (vault) => toResult(await vault.audit.verifyLinks(), "links"));
};

function toResult(report: AuditReport, checked: "full" | "links"): Result {
  const { ok, rows, head, unanchored, faults } = report;
  const lines = [
    `${rows} rows, head ${head}`,
    ...faults.map(({ seq, problem }) => `row ${seq}: ${printable(problem)}`),
    `${unanchored} rows after the last anchor could be cut off unseen`,
  ];
  if (checked === "links") {
    lines.push("the chain was checked, the MACs were not: they need the key");
  }
  return {
    data: { checked, ...report },
    text: lines.join("\n"),
    ...(ok
      ? {}
      : { failure: new CryptoError("ERR_INTEGRITY", `The audit log has ${faults.length} faults`) }),
  };
}
