import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isCryptoError } from "@lango/crypto-core";
import { isBelowFloor, parseKeyslots } from "@lango/envelope";
import { openStore } from "@lango/store";
import { chmodHint } from "@lango/unlock";
import { inspectHome, readVault } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import type { Context } from "./context.ts";

/** What one check of `lango doctor` found. */
export interface Finding {
  readonly ok: boolean;
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
  /** There is nothing for the checks that follow. */
  readonly stop?: true;
}

type Check = (context: Context) => Promise<Finding> | Finding;

const good = (detail: string): Finding => ({ ok: true, detail });
const fault = (detail: string, fix?: string): Finding => ({
  ok: false,
  detail,
  ...(fix === undefined ? {} : { fix }),
});

/** A check whose error is its finding. */
const check =
  (look: Check): Check =>
  async (context) => {
    try {
      return await look(context);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return fault(message, isCryptoError(error) ? error.context.hint : undefined);
    }
  };

/** The checks of `lango doctor`, in order. None changes anything or needs a key. */
export const CHECKS: Readonly<Record<string, Check>> = {
  node: () => good(process.versions.node),
  config: check(async ({ home }) => {
    await loadConfig(home);
    return good("valid");
  }),
  "core dumps": check(() => {
    const soft = /^Max core file size\s+(\S+)/m.exec(
      readFileSync("/proc/self/limits", "utf8"),
    )?.[1];
    if (soft === "0") {
      return good("off");
    }
    lstatSync("/proc/self/coredump_filter");
    return good(`the limit is ${soft}, but lango keeps its memory out of them`);
  }),
  home: check(({ home }) => {
    const stat = lstatOf(home);
    if (stat === undefined) {
      return { ...fault(`${home} does not exist`, 'Run "lango onboard"'), stop: true };
    }
    if (!stat.isDirectory()) {
      return fault(`${home} is not a folder`);
    }
    return tooOpen(home, stat.mode, stat.uid, 0o077) ?? good(`${home}, mode ${octal(stat.mode)}`);
  }),
  files: check(({ home }) => {
    const faults = filesOf(home).flatMap((path) => {
      const { mode, uid } = lstatSync(path);
      const finding = tooOpen(path, mode, uid, forbiddenMode(path));
      return finding === undefined ? [] : [finding];
    });
    const [first] = faults;
    return first === undefined
      ? good("nobody else can read or change them")
      : fault(faults.map(({ detail }) => detail).join("; "), first.fix);
  }),
  vault: check(async ({ home }) => {
    const state = await inspectHome(home);
    if (typeof state === "object") {
      throw state.damaged;
    }
    return state === "ready"
      ? good("its files are there and belong together")
      : { ...fault(`there is none (${state})`, 'Run "lango onboard"'), stop: true };
  }),
  keyslots: check(({ home }) => {
    const path = join(home, "keyslots.json");
    // A named pipe would be waited for.
    if (!statSync(path).isFile()) {
      return fault(`${path} is no regular file`);
    }
    const { slots, generation } = parseKeyslots(readFileSync(path));
    const weak = slots.filter(({ kdf }) => kdf !== undefined && isBelowFloor(kdf));
    return weak.length === 0
      ? good(`${slots.length} of generation ${generation}`)
      : fault(
          `slot ${weak.map(({ id }) => id).join(", ")} is easier to guess than is safe today`,
          'Run "lango security migrate-passphrase"',
        );
  }),
  generation: check(async ({ home }) => {
    await using vault = await readVault({ home });
    const { slotFile, slotGeneration } = await vault.status();
    switch (slotFile) {
      case "settled":
        return good(`keyslots.json and database agree on ${slotGeneration}`);
      case "unfinished":
        return fault("a change of the slots was interrupted", 'Run "lango doctor --fix"');
      default:
        return fault(
          slotFile === "older"
            ? `keyslots.json is from before generation ${slotGeneration}`
            : `the database is from earlier, of generation ${slotGeneration}`,
          'Restore both files from one backup, or run "lango doctor --fix --accept-rollback"',
        );
    }
  }),
  database: check(async ({ home }) => {
    await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
    const problems = await store.integrityCheck();
    return problems.length === 0
      ? good("whole")
      : fault(problems.slice(0, 5).join("; "), "Restore it from a backup");
  }),
  audit: check(async ({ home }) => {
    await using vault = await readVault({ home });
    const { ok, rows, faults } = await vault.audit.verifyLinks();
    return ok
      ? good(`${rows} rows, the chain holds`)
      : fault(
          `${faults[0]?.problem ?? "broken"} (row ${faults[0]?.seq ?? 0})`,
          'Run "lango audit verify"',
        );
  }),
};

/** Others may read the configuration: it holds no secret, or "config" says so. */
export const forbiddenMode = (path: string): number =>
  path.endsWith("config.json") ? 0o022 : 0o077;

const lstatOf = (path: string) => lstatSync(path, { throwIfNoEntry: false });

/** The files of a vault that are there; sub-folders are of other programs. */
export function filesOf(home: string): string[] {
  return readdirSync(home, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => join(home, name));
}

function tooOpen(path: string, mode: number, uid: number, forbidden: number): Finding | undefined {
  if (uid !== process.getuid?.()) {
    return fault(`${path} belongs to user ${uid}`);
  }
  if ((mode & forbidden) === 0) {
    return undefined;
  }
  const wanted = (mode & 0o777 & ~forbidden).toString(8);
  return fault(`${path} has mode ${octal(mode)}`, chmodHint(path, wanted));
}

const octal = (mode: number): string => (mode & 0o777).toString(8).padStart(4, "0");
