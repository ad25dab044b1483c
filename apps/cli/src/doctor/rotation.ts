import type { ConfiguredSince } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import { table, when } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";

const EXIT_FINDINGS = 10;
const DAY_MS = 24 * 60 * 60 * 1000;
/** A quarter. */
const ROUTINE_DAYS = 90;

const NEW_TOKEN = "openssl rand -base64 24";
const NEW_KEY = "openssl rand -hex 32";

interface Item {
  readonly what: string;
  /** As in table `policies`: see `readConfiguredSecrets` of `@lango/unlock`. */
  readonly name: string;
  readonly how: string;
}

/** What changes every quarter. */
const ROUTINE: readonly Item[] = [
  {
    what: "ADMIN_TOKEN",
    name: "ADMIN_TOKEN",
    how: NEW_TOKEN,
  },
  {
    what: "AGENT_SERVER_TOKEN",
    name: "AGENT_SERVER_TOKEN",
    how: `${NEW_KEY}, and the same as AUTH_TOKEN of the other server`,
  },
  {
    what: "Redis password",
    name: "REDIS_URL",
    how: "redis-cli CONFIG SET requirepass, then REDIS_URL",
  },
  {
    what: "database password",
    name: "DATABASE_URL",
    how: "ALTER ROLE … PASSWORD in psql, then DATABASE_URL",
  },
];

/** What changes when it may be known to others. */
const AFTER_INCIDENT: readonly Item[] = [
  {
    what: "LANGO_GATEWAY_TOKEN",
    name: "LANGO_GATEWAY_TOKEN",
    how: NEW_KEY,
  },
  { what: "ENCRYPTION_KEY", name: "ENCRYPTION_KEY", how: "lango security rotate --env-keys" },
  { what: "LANGO_MASTER_KEY", name: "LANGO_MASTER_KEY", how: "lango security slots add" },
  {
    what: "LANGO_MESSAGE_ENCRYPTION_KEY",
    name: "LANGO_MESSAGE_ENCRYPTION_KEY",
    how: NEW_KEY,
  },
];

/** One line of the list. Times are ISO 8601. */
export interface RotationLine {
  readonly what: string;
  readonly every: "quarter" | "incident";
  /** `unknown`: this vault has never seen it. */
  readonly state: "ok" | "overdue" | "unknown" | "no schedule";
  readonly since: string | null;
  readonly dueAt: string | null;
  readonly how: string;
}

/** The list, from what the vault has seen. @param now - Milliseconds since the epoch. */
export function rotationLines(known: readonly ConfiguredSince[], now: number): RotationLine[] {
  const lineOf = (
    { what, name, how }: Item,
    every: RotationLine["every"],
  ): RotationLine | undefined => {
    const since = known.find((each) => each.name === name)?.since;
    const iso = (time: number): string => new Date(time).toISOString();
    if (every === "incident") {
      if (since === undefined) return undefined;
      return { what, every, state: "no schedule", since: iso(since), dueAt: null, how };
    }
    if (since === undefined)
      return { what, every, state: "unknown", since: null, dueAt: null, how };
    const due = since + ROUTINE_DAYS * DAY_MS;
    const state = due <= now ? "overdue" : "ok";
    return { what, every, state, since: iso(since), dueAt: iso(due), how };
  };
  return [
    ...ROUTINE.map((item) => lineOf(item, "quarter")),
    ...AFTER_INCIDENT.map((item) => lineOf(item, "incident")),
  ].filter((line) => line !== undefined);
}

/** The list of what is to be changed every quarter, with the date since when each has been what it is. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const lines = rotationLines(await vault.fingerprints.list(), Date.now());
    const overdue = lines.filter(({ state }) => state === "overdue").map(({ what }) => what);
    const shown = (time: string | null): string => (time === null ? "-" : when(Date.parse(time)));
    return {
      data: { overdue, routine: lines },
      text: table(
        ["", "WHAT", "FIRST SEEN", "DUE", "HOW"],
        lines.map(({ what, every, state, since, dueAt, how }) => [
          state === "overdue" ? "[!]" : state === "ok" ? "[x]" : "[ ]",
          what,
          shown(since),
          every === "incident" ? "after an incident" : shown(dueAt),
          how,
        ]),
      ),
      exit: overdue.length === 0 ? 0 : EXIT_FINDINGS,
    };
  });
