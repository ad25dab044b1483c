import { existsSync } from "node:fs";
import { join } from "node:path";
import { CryptoError, randomBytesFresh, toHex, utf8, zero } from "@lango/crypto-core";
import { isEncryptionKeySlot, readMasterKey } from "@lango/unlock";
import type { SlotSummary, Vault } from "@lango/vault";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { writeFileWhole } from "../cli/files.ts";
import { requireVault } from "../cli/home.ts";
import { chooseKdf, configuredKdf } from "../cli/kdf.ts";
import { obtainNewPassphrase } from "../cli/new-passphrase.ts";
import { writeAll } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";

/** Lets something else open the vault, too. */
export const run: Handler = async (context, args) => {
  await requireVault(context);
  const kind = args.string("kind") as keyof typeof ADD | undefined;
  if (kind === undefined) throw usageError("--kind is missing", "As in: --kind passphrase");
  const label = args.string("label");
  if (kind === "env" && args.number("key-fd", 0) === undefined) {
    throw usageError(
      "A slot of kind env needs its key",
      "Hand it over with --key-fd N: openssl rand -hex 32 makes one",
    );
  }
  return withVault(context, args, { freshConsent: true }, async (vault) => {
    if (args.flag("dry-run")) {
      return { data: { dryRun: true, kind }, text: `would add a slot of kind ${kind}` };
    }
    const { slot, note } = await ADD[kind](context, args, vault, label);
    if (note !== undefined) context.note(note);
    return { data: { slot }, text: `Added slot ${slot.id} (${slot.kind})` };
  });
};

type Add = (
  context: Context,
  args: Arguments,
  vault: Vault,
  label: string | undefined,
) => Promise<{ readonly slot: SlotSummary; readonly note?: string }>;

const ADD: Readonly<Record<"passphrase" | "master-key-file" | "env", Add>> = {
  async passphrase(context, args, vault, label) {
    const { kdf, acceptWeakKdf } = chooseKdf(args);
    const passphrase = await obtainNewPassphrase(context, args);
    try {
      return {
        slot: await vault.slots.add({
          ...{ kind: "passphrase", passphrase, acceptWeakKdf, label },
          kdf: kdf ?? (await configuredKdf(context.home)),
        }),
      };
    } finally {
      zero(passphrase);
    }
  },
  async "master-key-file"(context, _args, vault, label) {
    const path = join(context.home, "master.key");
    // It may be all that opens this vault, or another.
    if (existsSync(path)) throw new CryptoError("ERR_CONFLICT", `There is a ${path} already`);
    const key = randomBytesFresh(32);
    const text = utf8(`${toHex(key)}\n`);
    try {
      // The file first: a slot whose key is nowhere would stay for ever.
      await writeFileWhole(path, async (fd) => writeAll(fd, text));
      const slot = await vault.slots.add({ kind: "master-key-file", key, label });
      return { slot, note: `${path} opens the vault now: keep it out of backups` };
    } finally {
      zero(key, text);
    }
  },
  async env(_context, args, vault, label) {
    const key = await readMasterKey(args.number("key-fd", 0)!, "--key-fd");
    try {
      const slot = await vault.slots.add({ kind: "env", key, label });
      const variable = isEncryptionKeySlot(slot) ? "ENCRYPTION_KEY" : "LANGO_MASTER_KEY";
      return { slot, note: `${variable} with that key opens the vault now` };
    } finally {
      zero(key);
    }
  },
};
