import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { SlotSummary } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { when } from "../cli/output.ts";
import { withRows } from "../cli/reader.ts";
import { COMMANDS } from "../table/index.ts";

const EXIT_FINDINGS = 10;

/** One of the four boxes. */
export interface BackupBox {
  readonly box: string;
  /** `unknown`: it cannot be seen from here. */
  readonly state: "done" | "missing" | "unknown";
  readonly found: string;
  readonly commands: readonly string[];
}

/** What there is to judge by. */
export interface BackupFacts {
  readonly home: string;
  readonly env: Context["env"];
  /** The folder that lango was started in. */
  readonly folder: string;
  readonly slots: readonly Pick<SlotSummary, "kind" | "label">[];
  /** Of the log, when the last backup was made: milliseconds since the epoch. */
  readonly lastBackup: number | undefined;
}

/** The four boxes, each as far as it can be checked. */
export const backupBoxes = (facts: BackupFacts): readonly BackupBox[] => [
  keyInManager(facts),
  offlineBackup(facts),
  {
    box: "The place of the backup is written down, for whoever has to restore it",
    state: "unknown",
    found: "only people know",
    commands: [],
  },
  notCommitted(facts),
];

/** Nobody can see a password manager from here; a key that lies beside the data can be seen. */
function keyInManager({ home, env, slots }: BackupFacts): BackupBox {
  const box = "The key is in a secrets manager";
  const beside = ["passphrase", "master.key"].filter((name) => existsSync(join(home, name)));
  const held = slots.filter(({ kind }) => kind === "provider" || kind === "keyring");
  const commands = ["lango security slots list"];
  if (beside.length > 0) {
    const verb = beside.length === 1 ? "lies" : "lie";
    const found = `${beside.join(" and ")} ${verb} beside the data: with ${home} the key is lost, too`;
    return { box, state: "missing", found, commands };
  }
  const handedOver = keyFiles(env).filter(
    (path) =>
      path.startsWith("/run/secrets/") ||
      (env["CREDENTIALS_DIRECTORY"] && path.startsWith(`${env["CREDENTIALS_DIRECTORY"]}/`)),
  );
  if (held.length > 0 || handedOver.length > 0) {
    const found = [...held.map(({ kind }) => `a ${kind} slot`), ...handedOver].join(", ");
    return { box, state: "done", found, commands: [] };
  }
  const kinds = [...new Set(slots.map(({ kind, label }) => label ?? kind))].join(", ");
  return { box, state: "unknown", found: `it is opened by ${kinds}`, commands };
}

function offlineBackup({ slots, lastBackup }: BackupFacts): BackupBox {
  const hasWords = slots.some(({ kind }) => kind === "recovery");
  const hasCommand = COMMANDS.some(({ path }) => path === "backup create");
  return {
    box: "There is an offline backup of the key and of the data",
    state: lastBackup !== undefined && hasWords ? "done" : "missing",
    found: [
      hasWords ? "there is a slot of recovery words" : "no recovery words open the vault",
      lastBackup === undefined
        ? "the log knows of no backup"
        : `the last backup was made on ${when(lastBackup)}`,
    ].join("; "),
    commands: [
      ...(hasWords ? [] : ["lango security recovery setup"]),
      ...(lastBackup === undefined && hasCommand ? ["lango backup create"] : []),
    ],
  };
}

function notCommitted({ home, env, folder }: BackupFacts): BackupBox {
  const box = "The key is not under version control";
  const paths = [
    ...["passphrase", "master.key", "config.json"].map((name) => join(home, name)),
    ...keyFiles(env),
    ...[".env", ".env.local", ".env.production"].map((name) => join(folder, name)),
  ];
  const inside = paths.filter((path) => existsSync(path) && isInWorkTree(path));
  return inside.length === 0
    ? { box, state: "done", found: "no file of keys here lies in a Git work tree", commands: [] }
    : {
        box,
        state: "unknown",
        found: `${inside.join(", ")} ${inside.length === 1 ? "lies" : "lie"} in a Git work tree; these must name a rule for each`,
        commands: inside.map(
          (path) => `git -C ${quoted(dirname(path))} check-ignore -v ${quoted(path)}`,
        ),
      };
}

const quoted = (path: string): string =>
  /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;

/** Files that variables name for keys. */
const keyFiles = (env: Context["env"]): string[] =>
  Object.entries(env).flatMap(([name, value]) =>
    value &&
    (name === "LANGO_KEYFILE" ||
      /^(ENCRYPTION_KEY.*|(LANGO|AUTHSOME)_MASTER_KEY|LANGO_PASSPHRASE)_FILE$/.test(name))
      ? [resolve(value)]
      : [],
  );

function isInWorkTree(path: string): boolean {
  for (let at = dirname(path); ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return true;
    if (at === dirname(at)) return false;
  }
}

const MARKS = { done: "[x]", missing: "[!]", unknown: "[ ]" } as const;

/** What it takes to get the data back. Needs no passphrase, unless the database is encrypted. */
export const run: Handler = (context, args) =>
  withRows(context, args, async (vault) => {
    const boxes = backupBoxes({
      home: context.home,
      env: context.env,
      folder: process.cwd(),
      slots: await vault.slots.list(),
      lastBackup: (await vault.audit.findLast("backup.create"))?.ts,
    });
    return {
      data: { boxes },
      text: boxes
        .flatMap(({ box, state, found, commands }) => [
          `${MARKS[state]} ${box}: ${found}`,
          ...commands.map((command) => `      ${command}`),
        ])
        .join("\n"),
      exit: boxes.some(({ state }) => state === "missing") ? EXIT_FINDINGS : 0,
    };
  });
