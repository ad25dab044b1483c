import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isCryptoError } from "@lango/crypto-core";
import { isBelowFloor, parseKeyslots } from "@lango/envelope";
import { openStore } from "@lango/store";
import { chmodHint, createUnlocker, findVariableFaults } from "@lango/unlock";
import { inspectHome, openVault, readVault, type StoreAddress } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import { configuredStore } from "../config/store.ts";
import type { Arguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { standing, uncheckedWishes } from "./in-force.ts";
import { counted } from "./output.ts";
import { vaultPlace } from "./place.ts";
import { hardenProcess } from "./process.ts";
import { installCommand, packageOf } from "./provider-packages.ts";
import { configuredKey, requireSettings } from "./provider-settings.ts";
import { openProviders } from "./providers.ts";
import { unlockOptions } from "./vault.ts";
import { whyNoNewFile } from "./write-probe.ts";

/** What one check of `lango doctor` found. */
export interface Finding {
  /** `null`: it could not look. */
  readonly ok: boolean | null;
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
  /** There is nothing for the checks that follow. */
  readonly stop?: true;
}

type Check = (context: Context, args: Arguments) => Promise<Finding> | Finding;

const good = (detail: string): Finding => ({ ok: true, detail });
const unknown = (detail: string): Finding => ({ ok: null, detail });
const fault = (detail: string, fix?: string): Finding => ({
  ok: false,
  detail,
  ...(fix === undefined ? {} : { fix }),
});

/** Also where the passphrase is at hand: only "rows" opens the vault. */
const LOCKED = "not checked: the database is encrypted, and this looks without its key";

/** A check whose error is its finding. */
const check =
  (look: Check): Check =>
  async (context, args) => {
    try {
      return await look(context, args);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return fault(message, isCryptoError(error) ? error.context.hint : undefined);
    }
  };

/** The checks of `lango doctor`, in order. None asks for anything; what needs a key uses one that is at hand. */
export const CHECKS: Readonly<Record<string, Check>> = {
  node: () => good(process.versions.node),
  config: check(async ({ home }) => {
    await loadConfig(home);
    return good("valid");
  }),
  settings: check(async ({ home, env }) => {
    const store = await configuredStore(home, env);
    return good(store ? `PostgreSQL, by ${store.source}` : "all in force");
  }),
  variables: check(async ({ env }) => {
    const faults = await findVariableFaults({ env });
    return faults.length === 0
      ? good("keys and tokens that are set are sound")
      : fault(faults.map(({ problem }) => problem).join("; "), 'Run "lango doctor --check"');
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
  writing: check(({ home }) => {
    const locked = [home, join(home, "lango.db")].find((path) => {
      const needed = path === home ? 0o700 : 0o600;
      // Not access(2): to root everything is writable.
      const { mode = needed } = lstatOf(path) ?? {};
      return (mode & needed) !== needed;
    });
    if (locked !== undefined) {
      const { mode } = lstatSync(locked);
      return fault(
        `${locked} has mode ${octal(mode)}: lango cannot write there`,
        chmodHint(locked, locked === home ? "700" : "600"),
      );
    }
    const why = whyNoNewFile(home);
    return why === undefined
      ? good("possible")
      : fault(`${home} takes no new file: ${why.reason}`, why.hint);
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
  vault: check(async (context) => {
    const { home, store } = await vaultPlace(context);
    const state = await inspectHome(home, store);
    if (typeof state === "object") {
      throw state.damaged;
    }
    return state === "ready"
      ? good(`its ${store ? "rows and slots" : "files"} are there and belong together`)
      : { ...fault(`there is none (${state})`, 'Run "lango onboard"'), stop: true };
  }),
  provider: check(async (context, args) => {
    const { home } = context;
    const { security } = await loadConfig(home);
    const { provider: name } = security.signer;
    await using vault = await readVault(await vaultPlace(context));
    const status = await vault.status();
    const { degradedDataKeys, dataKeys } = status;
    const { provider, mode } = standing(await uncheckedWishes(home), home, status);
    if (!provider.installed) {
      const hint = installCommand(packageOf(name) ?? name, home);
      return fault(`${name} is not installed`, `Run "${hint}"`);
    }
    if (dataKeys === null || degradedDataKeys === null) return unknown(LOCKED);
    if (name !== "local") {
      requireSettings(name, security, home);
      const key = configuredKey(security, "encryption", home);
      if (!provider.inForce) {
        const detail = `security.signer.provider is ${name}, but the data keys are ${mode}`;
        const back = "set security.signer.provider to local";
        const hint = `Run "lango security provider migrate --to ${key}"`;
        return fault(detail, mode === "local" ? `${hint}, or ${back}` : hint);
      }
    } else if (!provider.inForce) {
      const detail = "security.signer.provider is local, but there are data keys of a provider";
      return fault(detail, 'Set it back, or run "lango security provider migrate --to local:NAME"');
    }
    if (name !== "local" && args.flag("probe")) {
      const { probe } = await import("./probe.ts");
      const { healthy, reason } = await probe(context, security);
      // While it cannot be reached, nothing can be wrapped again.
      if (!healthy) return fault(`${name} is not healthy: ${reason ?? "it gave no reason"}`);
    }
    if (degradedDataKeys > 0) {
      const count = `${degradedDataKeys} data ${degradedDataKeys === 1 ? "key was" : "keys were"}`;
      const detail = `${count} sealed while ${name} could not be reached`;
      return fault(detail, 'Run "lango security provider rewrap"');
    }
    if (name === "local") return good(name);
    const state = args.flag("probe") ? "healthy" : "ask it with --probe";
    return good(`${name}, installed and in use; ${state}`);
  }),
  companion: check(async (context) => {
    const { security } = await loadConfig(context.home);
    await using vault = await readVault(await vaultPlace(context));
    if (vault.hidesRows) return unknown(LOCKED);
    const devices = await vault.companions.list();
    const suspended = devices.filter(({ state }) => state === "suspended");
    if (suspended.length > 0) {
      const names = suspended.map(({ name }) => name).join(", ");
      return fault(
        `${names} ${suspended.length === 1 ? "is" : "are"} suspended since the database was restored`,
        'Run "lango companion confirm DEVICE", or revoke',
      );
    }
    if (security.signer.provider === "rpc" && devices.every(({ role }) => role === "agent")) {
      return fault(
        "no companion is paired, but it shall keep the keys",
        'Run "lango companion pair"',
      );
    }
    return good(devices.length === 0 ? "none paired" : `${devices.length} paired`);
  }),
  keyslots: check(async (context) => {
    const { home, store } = await vaultPlace(context);
    const path = join(home, "keyslots.json");
    // A named pipe would be waited for.
    if (!store && !statSync(path).isFile()) {
      return fault(`${path} is no regular file`);
    }
    const document = store ? await slotsIn(store) : readFileSync(path);
    const { slots, generation } = parseKeyslots(document);
    const weak = slots.filter(({ kdf }) => kdf !== undefined && isBelowFloor(kdf));
    return weak.length === 0
      ? good(`${slots.length} of generation ${generation}`)
      : fault(
          `slot ${weak.map(({ id }) => id).join(", ")} is easier to guess than is safe today`,
          'Run "lango security migrate-passphrase"',
        );
  }),
  generation: check(async (context) => {
    await using vault = await readVault(await vaultPlace(context));
    const { slotFile, slotGeneration } = await vault.status();
    switch (slotFile) {
      case "settled":
        return good(`slots and database agree on ${slotGeneration}`);
      case null:
        return unknown(LOCKED);
      case "unfinished":
        return fault("a change of the slots was interrupted", 'Run "lango doctor --fix"');
      default:
        return fault(
          slotFile === "older"
            ? `the slots are from before generation ${slotGeneration}`
            : `the database is from earlier, of generation ${slotGeneration}`,
          'Restore both files from one backup, or run "lango doctor --fix --accept-rollback"',
        );
    }
  }),
  encryption: check(async (context) => {
    await using vault = await readVault(await vaultPlace(context));
    const { encrypted } = (await vault.status()).database;
    const { enabled } = (await uncheckedWishes(context.home)).dbEncryption;
    const found = `the database is ${encrypted ? "encrypted" : "in plaintext"}`;
    if (encrypted === enabled) return good(found);
    const command = enabled ? "lango security db-migrate" : "lango security db-decrypt";
    return fault(
      `${found}, but security.dbEncryption.enabled is ${enabled}`,
      `Run "${command}", or set it to ${encrypted}`,
    );
  }),
  database: check(async (context) => {
    await using vault = await readVault(await vaultPlace(context));
    if (vault.hidesRows) return unknown(LOCKED);
    const { home, store } = await vaultPlace(context);
    const where = store ?? { file: join(home, "lango.db") };
    await using opened = await openStore({ ...where, mode: "read" });
    const problems = await opened.integrityCheck();
    return problems.length === 0
      ? good("whole")
      : fault(problems.slice(0, 5).join("; "), "Restore it from a backup");
  }),
  audit: check(async (context) => {
    await using vault = await readVault(await vaultPlace(context));
    if (vault.hidesRows) return unknown(LOCKED);
    const { ok, rows, faults } = await vault.audit.verifyLinks();
    return ok
      ? good(`${counted(rows, "row")}, the chain holds`)
      : fault(
          `${faults[0]?.problem ?? "broken"} (row ${faults[0]?.seq ?? 0})`,
          'Run "lango audit verify"',
        );
  }),
  rows: check(async (context, args) => {
    const place = await vaultPlace(context);
    await using reader = await readVault(place);
    const slots = await reader.slots.list();
    const { security } = await loadConfig(place.home);
    await using providers = await openProviders(context, security);
    const unlocker = createUnlocker({
      ...unlockOptions(context, args, args.flag("passphrase-stdin")),
      prompt: undefined,
      keyringEnabled: security.keyring.enabled,
      providerSlots: providers.slots,
    });
    const sources = await unlocker.describe(slots);
    if (sources.every(({ state }) => state === "skipped")) {
      return unknown("not checked: needs the passphrase");
    }
    hardenProcess();
    await using vault = await openVault({ ...place, unlock: unlocker });
    await providers.peers.readFrom(vault);
    const { ok, faults } = await vault.audit.verify({ rows: true });
    return ok
      ? good("secrets, keys and slots are as the audit log says")
      : fault(faults[0]?.problem ?? "altered", 'Run "lango audit verify --rows"');
  }),
};

async function slotsIn(store: StoreAddress): Promise<Uint8Array> {
  await using opened = await openStore({ ...store, mode: "read" });
  return (await opened.keyslots.get())?.document ?? new Uint8Array();
}

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
