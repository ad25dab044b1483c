import { CryptoError, isCryptoError } from "@lango/crypto-core";
import type { AuditRecord, AuditReport, LockedVault, Vault } from "@lango/vault";
import { type Arguments, usageError } from "../cli/arguments.ts";
import { toJsonl } from "../cli/audit-jsonl.ts";
import { toOcsf } from "../cli/audit-ocsf.ts";
import type { Handler, Result } from "../cli/command.ts";
import { outputOf, writeFileWhole } from "../cli/files.ts";
import { counted, writeAll } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { withVault } from "../cli/vault.ts";
import { readVersion } from "../version.ts";

/** Lines are written in pieces of about this many characters: a write for each would take most of the time. */
const PIECE_LENGTH = 64 * 1024;

/** Writes the audit log, as far as it was found sound, as lines of JSON. */
export const run: Handler = (context, args) => {
  if (args.flag("json") && outputOf(args) === undefined) {
    throw usageError("The export is lines of JSON itself", "Use --out FILE with --json");
  }
  const since = sinceOf(args);
  return args.flag("macs")
    ? withVault(context, args, {}, async (vault) =>
        exportLog(vault, await vault.audit.verify(), args, since, context.note),
      )
    : withReader(context, async (vault) =>
        exportLog(
          vault,
          await vault.audit.verifyLinks().catch((cause: unknown) => {
            throw withMacsHint(cause);
          }),
          args,
          since,
          context.note,
        ),
      );
};

const withMacsHint = (cause: unknown): unknown =>
  isCryptoError(cause) && cause.code === "ERR_LOCKED"
    ? new CryptoError(cause.code, cause.message, {
        context: { hint: "Use --macs, and give what opens the vault" },
        cause,
      })
    : cause;

async function exportLog(
  vault: Pick<LockedVault, "id"> & { readonly audit: Pick<Vault["audit"], "records"> },
  report: AuditReport,
  args: Arguments,
  since: number | undefined,
  note: (line: string) => void,
): Promise<Result> {
  const format = args.string("format") ?? "jsonl";
  const source = { vaultId: vault.id, lango: readVersion() };
  const toLine = (record: AuditRecord): string =>
    format === "ocsf" ? toOcsf(record, source) : toJsonl(record);
  const verifiedTo = lastSoundRow(report);
  const from = args.number("from") ?? 1;
  let events = 0;
  const write = async (fd: number): Promise<void> => {
    let piece = "";
    for await (const record of vault.audit.records({ from, to: verifiedTo, since })) {
      piece += `${toLine(record)}\n`;
      events += 1;
      if (piece.length < PIECE_LENGTH) continue;
      writeAll(fd, piece);
      piece = "";
    }
    writeAll(fd, piece);
  };
  const out = outputOf(args);
  await (out === undefined ? write(1) : writeFileWhole(out, write));
  const checked = args.flag("macs") ? "links and MACs" : "links";
  note(`${events} events; the log was verified up to row ${verifiedTo} (${checked})`);
  const data = {
    format,
    out,
    events,
    from,
    verifiedTo,
    rows: report.rows,
    head: report.head,
    checked,
  };
  return report.ok ? { data } : { data, failure: faulty(report, verifiedTo) };
}

/** The row before the first that has a fault. */
const lastSoundRow = ({ rows, faults }: AuditReport): number =>
  faults
    .filter(({ seq }) => seq > 0)
    .reduce((last, { seq }) => Math.min(last, Math.max(0, seq - 1)), rows);

const faulty = ({ faults, rows }: AuditReport, verifiedTo: number): CryptoError =>
  new CryptoError(
    "ERR_INTEGRITY",
    `The log has ${counted(rows, "row")} and was exported up to row ${verifiedTo}: ${faults[0]?.problem}`,
    { context: { hint: "lango audit verify shows every fault" } },
  );

function sinceOf(args: Arguments): number | undefined {
  const text = args.string("since");
  if (text === undefined) {
    return undefined;
  }
  const time = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/.test(
    text,
  )
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(time)) {
    throw usageError(
      `--since ${text} is no time`,
      "Write a day, 2026-11-01, or a time with its zone, 2026-11-01T08:00:00Z",
    );
  }
  return time;
}
