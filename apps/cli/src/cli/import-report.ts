import type { Original } from "@lango/compat";
import type { Result } from "./command.ts";
import type { Context } from "./context.ts";
import type { ImportPlan } from "./import-plan.ts";
import type { Imported } from "./import-secrets.ts";
import { counted, printable } from "./output.ts";

/** @param makes - Whether a vault is made first. */
export const question = ({ home }: Context, plan: ImportPlan, makes: boolean): string =>
  makes
    ? `Make a vault in ${home} and bring ${counted(plan.bring.length, "secret")} of the original into it? Its database is kept as lango.db.original.`
    : `Bring ${counted(plan.bring.length, "secret")} of the original into the vault in ${home}?`;

/** What would be done. */
export function planned(
  { home }: Context,
  original: Original,
  plan: ImportPlan,
  makes: boolean,
): Result {
  const { mode, profiles, tables } = original;
  return {
    data: {
      ...{ dryRun: true, mode, vaultMade: makes, bring: plan.bring.map(({ name }) => name) },
      ...{ renamed: renamed(plan), left: plan.left, profiles, tables },
    },
    text: [
      `would ${makes ? `make a vault in ${home} and ` : ""}bring ${counted(plan.bring.length, "secret")}`,
      ...details(plan),
    ].join("\n"),
  };
}

/** What was done. */
export const resultOf = (
  { brought, already }: Imported,
  {
    original: { mode, profiles, tables },
    plan,
    file,
  }: { readonly original: Original; readonly plan: ImportPlan; readonly file: string },
): Result => ({
  data: {
    ...{ brought, already, renamed: renamed(plan), left: plan.left },
    ...{ from: file, mode, profiles, tables },
  },
  text: [
    `Brought ${counted(brought.length, "secret")} of ${file}, and read each of them back${already.length === 0 ? "" : `; ${already.length} were there already`}`,
    ...details(plan),
  ].join("\n"),
});

const details = (plan: ImportPlan): string[] =>
  [
    ...Object.entries(renamed(plan)).map(([from, name]) => `"${from}" is ${name} here`),
    ...plan.left.map(({ name, reason }) => `left: "${name}", ${reason}`),
  ].map(printable);

/** Tells people what is left where it was, and what is to be done with it. */
export function sayWhatStays(
  context: Context,
  { profiles, tables, otherSlots, mode }: Original,
  { left }: ImportPlan,
  file: string,
): void {
  const rows = Object.entries(tables).map(([name, count]) => `${count} of ${name}`);
  if (profiles.length > 0)
    context.note(`Left: the settings ${profiles.join(", ")}; use lango settings`);
  if (rows.length > 0) context.note(`Left, as no secrets: ${rows.join(", ")}`);
  if (otherSlots.length > 0) {
    context.note(
      `Left: what else opened the original (${otherSlots.join(", ")}); use lango security recovery setup and slots add`,
    );
  }
  if (left.length > 0) {
    context.warn(`${file} holds ${counted(left.length, "secret")} that are nowhere else: keep it`);
    return;
  }
  const envelope = mode === "envelope" ? " and the envelope.json beside it" : "";
  context.note(
    `When nothing else of it is needed, delete ${file}${envelope} with its logs: its values can be guessed at 100,000 rounds of PBKDF2 a try`,
  );
}

/** The names that are others in the vault. */
const renamed = ({ bring }: ImportPlan): Record<string, string> =>
  Object.fromEntries(
    bring.filter(({ from, name }) => from !== name).map(({ from, name }) => [from, name]),
  );
