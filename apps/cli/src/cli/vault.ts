import { type Bytes, CryptoError, isCryptoError } from "@lango/crypto-core";
import {
  type Credential,
  type CredentialKind,
  createUnlocker,
  type Unlocker,
  type UnlockOptions,
} from "@lango/unlock";
import { openVault, type Vault } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import { type Arguments, usageError } from "./arguments.ts";
import { checkUnlockVariables, noteConfigured } from "./configured.ts";
import type { Context } from "./context.ts";
import { requireVault } from "./home.ts";
import { keepSecret } from "./keep-secret.ts";
import { lazyKeyring } from "./keyring.ts";
import { locked } from "./locked.ts";
import { vaultPlace } from "./place.ts";
import { hardenProcess } from "./process.ts";
import { auditProviderChange } from "./provider-change.ts";
import { openProviders, type Providers } from "./providers.ts";
import { askSecret, askWords, canAsk } from "./terminal.ts";

export interface VaultNeeds {
  /** Whether the command leaves standard input alone, so that a passphrase may come from there. Default true. */
  readonly stdinFree?: boolean;
  /** Only what was given for this command opens the vault: no keyring, keyfile or key file; or a key of `ENCRYPTION_KEY`, in a file, too. Default false. */
  readonly freshConsent?: boolean | "or ENCRYPTION_KEY";
  /** Is given the passphrase that opened the vault, which then has to be one: a copy, to zero when done. */
  readonly keepPassphrase?: (passphrase: Bytes) => void;
  /** Is given what opened the vault, with a copy of its secret, to zero when done. */
  readonly keepCredential?: (credential: Credential) => void;
  /** A scheme whose provider the command uses although the vault may have no key of it yet. */
  readonly scheme?: string | undefined;
  /** Opens the database as it is, whatever the settings say of its encryption. */
  readonly anyDatabase?: true;
  /** What the person has just typed; nothing else opens the vault. Zeroed here. */
  readonly passphrase?: Bytes;
  /** Opens the vault where no source gives anything; nobody is asked then. The caller zeroes it. */
  readonly otherwise?: Uint8Array;
}

/** Unlocks the vault, uses it, and closes it whatever happens. */
export async function withVault<T>(
  context: Context,
  args: Arguments,
  needs: VaultNeeds,
  use: (
    vault: Vault,
    providers: Providers["byScheme"],
    peers: Pick<Providers["peers"], "newest">,
  ) => Promise<T>,
): Promise<T> {
  if (needs.stdinFree === false) refuseStdin(args);
  let fresh = needs.passphrase;
  await requireVault(context, (passphrase) => {
    fresh = passphrase;
  });
  hardenProcess();
  const { audit, gateway, security } = await loadConfig(context.home);
  // Closed after the vault, which may anchor its log with a key of one.
  await using providers = await openProviders(context, security, needs.scheme);
  const unlocker =
    fresh === undefined
      ? configuredUnlocker(context, args, needs, {
          keyringEnabled: security.keyring.enabled,
          providerSlots: providers.slots,
        })
      : givenJustNow(fresh);
  await using vault = await openVault({
    ...(await vaultPlace(context)),
    providers: providers.byScheme,
    fallbackToLocal: providers.fallbackToLocal,
    database: needs.anyDatabase ? undefined : security.dbEncryption,
    unlock: async (slots) => {
      if (fresh === undefined) await checkUnlockVariables(context, args, slots);
      const result = await unlocker.obtain(slots);
      const { keepPassphrase, keepCredential } = needs;
      if (keepPassphrase) return keepSecret(result, keepPassphrase);
      if (!keepCredential) return result;
      return keepSecret(result, (secret) => keepCredential({ ...result.credential, secret }));
    },
    audit: {
      onFailure: audit.onFailure,
      ...(audit.anchor === "" ? {} : { anchor: audit.anchor }),
    },
  });
  await providers.peers.readFrom(vault);
  if (context.verbose) {
    context.note(`unlocked by ${vault.unlockedBy.source}`);
    for (const { source, reason } of vault.unlockedBy.skipped) {
      context.note(`  not by ${source}: ${reason}`);
    }
  }
  await auditProviderChange(vault, security);
  await noteConfigured(vault, context, gateway.auth.token);
  return await use(vault, providers.byScheme, providers.peers);
}

/** Looks where the command line, the environment and the settings say. */
function configuredUnlocker(
  context: Context,
  args: Arguments,
  { stdinFree = true, freshConsent, keepPassphrase, otherwise }: VaultNeeds,
  settings: Pick<UnlockOptions, "keyringEnabled" | "providerSlots">,
): Pick<Unlocker, "obtain"> {
  if (otherwise !== undefined) {
    const options = { ...unlockOptions(context, args, false), ...settings, prompt: undefined };
    return orElse(createUnlocker(options), otherwise);
  }
  const options = {
    ...unlockOptions(context, args, stdinFree),
    ...(keepPassphrase ? { unlockWith: "passphrase" as const } : {}),
    ...settings,
  };
  const unlocker = freshConsent
    ? consentingUnlocker({ ...options, skipAmbient: freshConsent })
    : createUnlocker(options);
  return explaining(context, options, unlocker);
}

/** Read to its end for the passphrase, standard input would seem empty to the command. */
function refuseStdin(args: Arguments): void {
  for (const option of ["passphrase-fd", "master-key-fd", "recovery-words-fd"]) {
    if (args.number(option, 0) === 0) {
      throw usageError(
        `--${option} 0: this command reads its input from standard input`,
        `Use another descriptor, as in: lango … --${option} 3 3< FILE`,
      );
    }
  }
}

/** The passphrase that the person has just chosen for a new vault is not asked for again. */
const givenJustNow = (secret: Bytes): Pick<Unlocker, "obtain"> => ({
  async obtain(slots) {
    const slotIds = slots.filter(({ kind }) => kind === "passphrase").map(({ id }) => id);
    const source = "prompt";
    return {
      credential: { kind: "passphrase", source, secret, ambient: false, slotIds },
      skipped: [],
    };
  },
});

const orElse = (
  unlocker: Pick<Unlocker, "obtain">,
  passphrase: Uint8Array,
): Pick<Unlocker, "obtain"> => ({
  async obtain(slots) {
    try {
      return await unlocker.obtain(slots);
    } catch (error) {
      if (!isCryptoError(error) || error.code !== "ERR_LOCKED") throw error;
      return givenJustNow(new Uint8Array(passphrase)).obtain(slots);
    }
  },
});

/**
 * An unlocker whose error, when nothing gave a passphrase, says in one line what to do. The list of all sources is long:
 * it stays in the JSON document, and in "lango whoami".
 */
function explaining(
  { json }: Context,
  { unlockWith = "passphrase", masterKeyFd, recoveryWordsFd }: UnlockOptions,
  unlocker: Pick<Unlocker, "obtain">,
): Pick<Unlocker, "obtain"> {
  return {
    async obtain(slots) {
      try {
        return await unlocker.obtain(slots);
      } catch (error) {
        const wantsPassphrase =
          unlockWith === "passphrase" &&
          masterKeyFd === undefined &&
          recoveryWordsFd === undefined &&
          slots.some(({ kind }) => kind === "passphrase");
        throw isCryptoError(error) && error.code === "ERR_LOCKED" && wantsPassphrase
          ? locked(error, json)
          : error;
      }
    },
  };
}

/** Where this command line allows a credential to come from. */
export const unlockOptions = (
  context: Context,
  args: Arguments,
  stdinFree: boolean,
): UnlockOptions => ({
  home: context.home,
  env: context.env,
  passphraseFd: args.number("passphrase-fd", 0),
  passphraseFile: args.string("passphrase-file"),
  passphraseStdin: args.flag("passphrase-stdin"),
  masterKeyFd: args.number("master-key-fd", 0),
  recoveryWordsFd: args.number("recovery-words-fd", 0),
  unlockWith: args.string("unlock-with") as CredentialKind | undefined,
  keyring: lazyKeyring(context),
  prompt: canAsk(context) ? askSecret : undefined,
  promptWords: canAsk(context) ? askWords : undefined,
  stdinFree,
});

/**
 * An unlocker for what shows a value or opens another door: a source that every process of this user can read is nobody's consent, so that
 * source is passed over, and a vault that would open by it alone is refused.
 */
function consentingUnlocker(options: UnlockOptions): Pick<Unlocker, "obtain"> {
  return {
    async obtain(slots) {
      try {
        return await createUnlocker(options).obtain(slots);
      } catch (error) {
        if (!isCryptoError(error) || error.code !== "ERR_LOCKED") {
          throw error;
        }
        const ambient = (
          await createUnlocker({
            ...options,
            ...{ skipAmbient: false, prompt: undefined, stdinFree: false },
          }).describe(slots)
        ).find(({ state }) => state === "would use");
        throw ambient === undefined ? error : withoutConsent(ambient.source);
      }
    },
  };
}

const withoutConsent = (source: string): CryptoError =>
  new CryptoError(
    "ERR_DENIED",
    `This needs a person's consent, and ${source} can be read by every process of this user`,
    {
      context: {
        hint: "Run it on a terminal, which asks for the passphrase, or hand the passphrase to this command with --passphrase-fd",
      },
    },
  );
