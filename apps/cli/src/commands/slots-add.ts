import { existsSync } from "node:fs";
import { join } from "node:path";
import { CryptoError, parseKeyUri, randomBytesFresh, toHex, utf8, zero } from "@lango/crypto-core";
import { isEncryptionKeySlot, readMasterKey } from "@lango/unlock";
import type { SlotSummary, Vault } from "@lango/vault";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { writeFileWhole } from "../cli/files.ts";
import { requireVault } from "../cli/home.ts";
import { chooseKdf, configuredKdf } from "../cli/kdf.ts";
import { addKeyringSlot } from "../cli/keyring-slot.ts";
import { obtainNewPassphrase } from "../cli/new-passphrase.ts";
import { writeAll } from "../cli/output.ts";
import { configuredKey } from "../cli/provider-settings.ts";
import type { Providers } from "../cli/providers.ts";
import { addRecoveryWords, requireSomebodyToShow } from "../cli/recovery-words.ts";
import { findRemoteKey, providerFor } from "../cli/remote-key.ts";
import { withVault } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";

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
  if (args.string("uri") !== undefined && kind !== "provider") {
    throw usageError("--uri is for --kind provider: the other kinds have no key elsewhere");
  }
  if (kind === "recovery") requireSomebodyToShow(context);
  const uri = args.string("uri");
  const scheme = uri === undefined ? undefined : parseKeyUri(uri).scheme;
  return withVault(
    context,
    args,
    { freshConsent: true, scheme },
    async (vault, providers, peers) => {
      if (args.flag("dry-run")) {
        return { data: { dryRun: true, kind }, text: `would add a slot of kind ${kind}` };
      }
      const { slot, note } = await ADD[kind]({ context, args, vault, providers, peers, label });
      if (note !== undefined) context.note(note);
      return { data: { slot }, text: `Added slot ${slot.id} (${slot.kind})` };
    },
  );
};

interface Wish {
  readonly context: Context;
  readonly args: Arguments;
  readonly vault: Vault;
  readonly providers: Providers["byScheme"];
  readonly peers: Pick<Providers["peers"], "newest">;
  readonly label: string | undefined;
}

type Add = (wish: Wish) => Promise<{ readonly slot: SlotSummary; readonly note?: string }>;

const ADD: Readonly<Record<SlotSummary["kind"], Add>> = {
  async passphrase({ context, args, vault, label }) {
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
  async "master-key-file"({ context, vault, label }) {
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
  async env({ args, vault, label }) {
    const key = await readMasterKey(args.number("key-fd", 0)!, "--key-fd");
    try {
      const slot = await vault.slots.add({ kind: "env", key, label });
      const variable = isEncryptionKeySlot(slot) ? "ENCRYPTION_KEY" : "LANGO_MASTER_KEY";
      return { slot, note: `${variable} with that key opens the vault now` };
    } finally {
      zero(key);
    }
  },
  async recovery({ vault, label }) {
    const slot = await addRecoveryWords(vault, label);
    return { slot, note: "The 24 words open the vault with --unlock-with recovery" };
  },
  async keyring({ context, vault, label }) {
    const { slot, keyring } = await addKeyringSlot(context, vault, label);
    return { slot, note: `The keyring (${keyring}) opens the vault now` };
  },
  async provider({ context, args, vault, providers, peers, label }) {
    const { security } = await loadConfig(context.home);
    const uri = args.string("uri") ?? configuredKey(security, "encryption", context.home);
    const { scheme } = parseKeyUri(uri);
    const provider = providerFor(providers, scheme);
    const found = await findRemoteKey(provider, uri, "encryption");
    if (found.type !== "encryption") {
      throw new CryptoError("ERR_KEY_USAGE", `${found.uri} is for signing: it wraps no keys`);
    }
    const { keyId } = parseKeyUri(found.uri);
    const slot = await vault.slots.add({
      ...{ kind: "provider", uri: found.uri, provider, keyId, label },
      // It was asked for its key just now, and the provider speaks to no other from here on.
      companion: scheme === "rpc" ? peers.newest : undefined,
    });
    return { slot, note: `Whoever may use ${found.uri} for decryption opens the vault now` };
  },
};
