import type { Original } from "@lango/compat";
import type { Result } from "./command.ts";
import type { Context } from "./context.ts";
import { type ImportPlan, quoted, short } from "./import-plan.ts";
import type { Imported } from "./import-secrets.ts";
import { counted, printable } from "./output.ts";

/** @param makes - Whether a vault is made first. */
export const question = ({ home }: Context, plan: ImportPlan, makes: boolean): string =>
  makes
    ? `Make a vault in ${home} and bring ${counted(plan.bring.length, "secret")} of the original into it? Its database is kept as lango.db.original.`
    : `Bring ${counted(plan.bring.length, "secret")} of the original into the vault in ${home}?`;

/** What would be done. */
export function planned(
  context: Context,
  original: Original,
  plan: ImportPlan,
  makes: boolean,
): Result {
  const { mode, profiles, tables, otherSlots } = original;
  sayWhatIsLeft(context, original);
  return {
    data: {
      ...{ dryRun: true, mode, vaultMade: makes, bring: plan.bring.map(({ name }) => name) },
      ...{ renamed: renamed(plan), left: plan.left, profiles, tables, otherSlots },
    },
    text: [
      `would ${makes ? `make a vault in ${context.home} and ` : ""}bring ${counted(plan.bring.length, "secret")}`,
      ...details(plan),
    ].join("\n"),
  };
}

/** What was done. */
export const resultOf = (
  { brought, already }: Imported,
  {
    original: { mode, profiles, tables, otherSlots },
    plan,
    file,
  }: { readonly original: Original; readonly plan: ImportPlan; readonly file: string },
): Result => ({
  data: {
    ...{ brought, already, renamed: renamed(plan), left: plan.left },
    ...{ from: file, mode, profiles, tables, otherSlots },
  },
  text: [
    `Brought ${counted(brought.length, "secret")} of ${file}, and read each of them back${already.length === 0 ? "" : `; ${already.length} were there already`}`,
    ...details(plan),
  ].join("\n"),
});

const details = (plan: ImportPlan): string[] =>
  [
    ...Object.entries(renamed(plan)).map(
      ([from, name]) => `${quoted(from)} is ${short(name)} here`,
    ),
    ...plan.left.map(({ name, reason }) => `left: ${quoted(name)}, ${reason}`),
  ].map(printable);

/** At most so many of a list, which is as long as whoever wrote the file wanted. */
const MAX_LISTED = 30;

const listed = (names: readonly string[]): string =>
  [
    ...names.slice(0, MAX_LISTED).map(short),
    ...(names.length > MAX_LISTED ? [`${names.length - MAX_LISTED} more`] : []),
  ].join(", ");

function sayWhatIsLeft(context: Context, { profiles, tables, otherSlots }: Original): void {
  const rows = Object.entries(tables).map(([name, count]) => `${count} of ${short(name)}`);
  if (profiles.length > 0)
    context.note(`Left: the settings ${listed(profiles)}; use lango settings`);
  if (rows.length > 0) context.note(`Left, as no secrets: ${listed(rows)}`);
  if (otherSlots.length > 0) {
    context.note(
      `Left: what else opened the original (${listed(otherSlots)}); use lango security recovery setup and slots add`,
    );
  }
}

/** Tells people what is left where it was, and what is to be done with it. */
export function sayWhatStays(
  context: Context,
  original: Original,
  { left }: ImportPlan,
  file: string,
): void {
  sayWhatIsLeft(context, original);
  if (left.length > 0) {
    context.warn(`${file} holds ${counted(left.length, "secret")} that are nowhere else: keep it`);
    return;
  }
  const envelope = original.mode === "envelope" ? " and the envelope.json beside it" : "";
  context.note(
    `When nothing else of it is needed, delete ${file}${envelope} with its logs: its values can be guessed at 100,000 rounds of PBKDF2 a try`,
  );
}

/** The names that are others in the vault. */
const renamed = ({ bring }: ImportPlan): Record<string, string> =>
  Object.fromEntries(
    bring.filter(({ from, name }) => from !== name).map(({ from, name }) => [from, name]),
  );
