import { CryptoError } from "@lango/crypto-core";
import type { AuditReport } from "@lango/vault";
import type { Handler, Result } from "../cli/command.ts";
import { printable } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { withVault } from "../cli/vault.ts";

/** Checks the audit log: its chain, and with the key its MACs. */
export const run: Handler = (context, args) => {
  const options = { rows: args.flag("rows") };
  return args.flag("links")
    ? withReader(context, async ({ audit }) => toResult(await audit.verifyLinks(options), "links"))
    : withVault(context, args, {}, async ({ audit }) =>
        toResult(await audit.verify(options), "full"),
      );
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
      : {
          failure: new CryptoError(
            "ERR_INTEGRITY",
            `The audit log has ${faults.length === 1 ? "1 fault" : `${faults.length} faults`}`,
          ),
        }),
  };
}
