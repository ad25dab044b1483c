import { usageError } from "../cli/arguments.ts";
import { CHECKS, type Finding } from "../cli/checks.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { mend } from "../cli/mend.ts";
import { printable } from "../cli/output.ts";
import { run as backup } from "../doctor/backup.ts";
import { run as incident } from "../doctor/incident.ts";
import { run as rotation } from "../doctor/rotation.ts";
import { run as variables } from "../doctor/variables.ts";

const EXIT_FINDINGS = 10;

/** Pages that stand for themselves. */
const PAGES: Readonly<Record<string, Handler>> = {
  check: variables,
  rotation,
  incident,
  backup,
};

/** Looks for what is wrong; changes nothing but what `--fix` stands for. */
export const run: Handler = async (context, args) => {
  const fix = args.flag("fix");
  const [page, other] = [...Object.keys(PAGES), "fix"].filter((name) => args.flag(name));
  if (other !== undefined) throw usageError(`--${page} and --${other} do not go together`);
  const shown = PAGES[page ?? ""];
  if (shown !== undefined) return shown(context, args);
  if (args.flag("accept-rollback") && !fix) {
    throw usageError("--accept-rollback goes with --fix");
  }
  const mended = fix ? await mend(context, args) : [];
  const findings: (Finding & { readonly check: string })[] = [];
  for (const [check, look] of Object.entries(CHECKS)) {
    const { stop, ...finding } = await look(context, args);
    // What keeps one check from looking, such as a full disk, keeps others: it is said once.
    const first = findings.find(({ ok, detail }) => ok === false && detail === finding.detail);
    const detail = `not checked, for the same reason as ${first?.check}`;
    findings.push({ check, ...(first === undefined ? finding : { ok: null, detail }) });
    if (stop) {
      break;
    }
  }
  const healthy = findings.every(({ ok }) => ok !== false);
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, ok, detail, fix }) => [
    `${mark(context, ok)} ${check.padEnd(width)}  ${printable(detail)}`,
    ...(fix === undefined ? [] : [`      ${" ".repeat(width)}  ${printable(fix)}`]),
  ]);
  return {
    data: { healthy, checks: findings, ...(fix ? { mended } : {}) },
    text: [...mended.map((line) => `fix    ${printable(line)}`), ...lines].join("\n"),
    exit: healthy ? 0 : EXIT_FINDINGS,
  };
};

const mark = ({ paint }: Context, ok: Finding["ok"]): string =>
  ok === null ? "-    " : ok ? paint(1, "green", "ok   ") : paint(1, "red", "fault");
