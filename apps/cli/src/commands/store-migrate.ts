import { join, resolve } from "node:path";
import { createUnlocker } from "@lango/unlock";
import {
  type MovePlan,
  type MoveProgress,
  moveVault,
  planMove,
  type StoreAddress,
} from "@lango/vault";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { requireVault } from "../cli/home.ts";
import { interruptible } from "../cli/interrupt.ts";
import { counted } from "../cli/output.ts";
import { vaultPlace } from "../cli/place.ts";
import { hardenProcess, keepHeapSmall } from "../cli/process.ts";
import { createProgress, type Progress } from "../cli/progress.ts";
import { openProviders } from "../cli/providers.ts";
import { requireYes } from "../cli/terminal.ts";
import { unlockOptions } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";
import { checkAddress, givenAddress, isSameDatabase, withoutPassword } from "../config/store.ts";

/** Moves the vault between the file of its home and a database. */
export const run: Handler = async (context, args) => {
  const to = targetOf(context, args.string("to"));
  const source = sourceOf(context, to);
  await requireVault(source);
  const place = await vaultPlace(source);
  const { security } = await loadConfig(context.home);
  if (args.flag("dry-run")) {
    const plan = await planMove({ ...place, to });
    return { data: { dryRun: true, ...plan }, text: planText(plan) };
  }
  const shown = to === "home" ? join(context.home, "lango.db") : withoutPassword(to.url);
  await requireYes(
    context,
    `Move the vault to ${shown}? Nobody can use it meanwhile, and whoever has it open must open it again.`,
  );
  hardenProcess();
  keepHeapSmall();
  await using providers = await openProviders(source, security);
  const progress = stagesOf(context, args);
  const moved = await interruptible((signal) =>
    moveVault({
      ...place,
      to,
      database: security.dbEncryption,
      signal,
      onProgress: progress.update,
      switchOver: async () => {
        const store =
          to === "home"
            ? { driver: "sqlite" }
            : { driver: "postgres", url: withoutPassword(to.url) };
        const { setSetting } = await import("../config/set.ts");
        await setSetting(context.home, "store", JSON.stringify(store));
      },
      unlock: createUnlocker({
        ...unlockOptions(source, args, true),
        keyringEnabled: security.keyring.enabled,
        providerSlots: providers.slots,
      }),
    }),
  ).finally(progress.end);
  advise(context, to, moved.setAside);
  return {
    data: moved,
    text: `Moved the vault from ${moved.from} to ${moved.to}: ${counted(moved.rows, "row")}, each compared`,
  };
};

const TARGETS: Readonly<Record<MovePlan["target"], string>> = {
  nothing: "is made by the move",
  empty: "is empty",
  left: "holds this vault as it was before it was moved away from there, which is replaced",
  "half-filled": "was being filled by a move that was interrupted",
  older: "has tables of an older lango, which are migrated first",
  encrypted: "is encrypted, and can be looked into only with the vault's key",
};

function planText({ vaultId, from, to, rows, secretCount, keyCount, target, server }: MovePlan) {
  const what =
    rows === null || secretCount === null || keyCount === null
      ? ""
      : `: ${counted(rows, "row")}, of them ${counted(secretCount, "secret")} and ${counted(keyCount, "key")}`;
  return [
    `would move vault ${vaultId} from ${from} to ${to}${what}`,
    ...(server
      ? [
          `reached PostgreSQL ${server.server} ${server.tls ? "with TLS, its certificate checked" : "on this machine, without TLS"}`,
          `role ${server.role} has the rights for it`,
        ]
      : []),
    `the new place ${TARGETS[target]}`,
  ].join("\n");
}

function targetOf({ home, env }: Context, given: string | undefined): StoreAddress | "home" {
  if (given === undefined) {
    throw usageError("--to is missing", "Name the place: --to postgres://…, or --to sqlite");
  }
  const [scheme, path = ""] = given.split(/:(.*)/s);
  if (scheme === "sqlite") {
    const file = join(home, "lango.db");
    if (path === "" || resolve(path) === file) return "home";
    throw usageError(
      "--to: a database file lies in its home as lango.db, beside the slots that open it",
      "Use --to sqlite; to have the vault elsewhere, move the whole home there and name it with --home or LANGO_HOME",
    );
  }
  if (scheme !== "postgres" && scheme !== "postgresql") {
    // Not as it was typed: it may hold a password.
    throw usageError(
      "--to names neither postgres://… nor sqlite",
      "A vault is kept in PostgreSQL or in a SQLite file: --to postgres://user@host:5432/database, or --to sqlite",
    );
  }
  checkAddress({ url: given, source: "--to" });
  const variable = givenAddress(env);
  const isKnown = variable && isSameDatabase(variable.url, given) && new URL(given).password === "";
  return { url: isKnown ? variable.url : given };
}

/** `DATABASE_URL` may name where the vault shall go already: then it is where the settings say. */
function sourceOf(context: Context, to: StoreAddress | "home"): Context {
  const variable = givenAddress(context.env);
  if (to === "home" || !variable || !isSameDatabase(variable.url, to.url)) return context;
  const { DATABASE_URL: _, DATABASE_URL_FILE: __, ...env } = context.env;
  return { ...context, env };
}

/** One bar for each stage. */
function stagesOf(
  context: Context,
  args: Arguments,
): { update(progress: MoveProgress): void; end(): void } {
  let bar: Progress | undefined;
  let current: MoveProgress["stage"] | undefined;
  return {
    update({ stage, done, total }) {
      if (stage !== current) {
        bar?.end();
        bar = createProgress(context, args, stage === "copy" ? "copying rows" : "comparing rows");
        current = stage;
      }
      bar?.update(done, total);
    },
    end: () => bar?.end(),
  };
}

function advise(context: Context, to: StoreAddress | "home", setAside: readonly string[]): void {
  const variable = givenAddress(context.env);
  if (variable && (to === "home" || !isSameDatabase(variable.url, to.url))) {
    context.warn(`${variable.source} still names the old database: unset it or correct it`);
  }
  if (to !== "home" && !variable && new URL(to.url).password !== "") {
    context.warn(
      "The password is not kept, and was visible to other processes: put the whole address into a file that DATABASE_URL_FILE names",
    );
  }
  if (setAside.length === 0) return;
  context.note(
    `The old files are now ${setAside.join(", ")}. Whoever has them can open them with what opened the vault; remove them when all is well`,
  );
}
