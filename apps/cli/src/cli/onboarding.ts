import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  type Bytes,
  CryptoError,
  type CryptoProvider,
  isCryptoError,
  zero,
} from "@lango/crypto-core";
import { createUnlocker, keysForNewVault, type UnlockOptions } from "@lango/unlock";
import {
  createVault,
  type HomeState,
  inspectHome,
  type ProviderKey,
  type Vault,
} from "@lango/vault";
import { checkPrivate, loadConfig } from "../config/load.ts";
import { usageError } from "./arguments.ts";
import { checkKeyVariables } from "./configured.ts";
import type { Context } from "./context.ts";
import { auditCreation, makeRemoteKey } from "./create-remote-key.ts";
import { type ChosenKdf, configuredKdf } from "./kdf.ts";
import { noNewPassphrase } from "./locked.ts";
import { vaultPlace } from "./place.ts";
import { hardenProcess } from "./process.ts";
import { auditProviderChange } from "./provider-change.ts";
import { configuredKey, type KeySettings } from "./provider-settings.ts";
import { closeWatched, openSigner } from "./providers.ts";
import { type FoundKey, findRemoteKey } from "./remote-key.ts";
import { askSecret, canAsk } from "./terminal.ts";
import { refuseShort, warnOfWeakness } from "./warn-of-weakness.ts";

export interface OnboardOptions {
  /** Default: what `security.kdf` says. */
  readonly chosen?: ChosenKdf;
  /** Whether the key that the settings name is made where the service has none. Default false. */
  readonly createKey?: boolean;
  readonly sources?: Pick<UnlockOptions, "passphraseFd" | "passphraseFile" | "passphraseStdin">;
  /** The passphrase of a vault for which no source gives one; nobody is asked then. The caller zeroes it. */
  readonly otherwise?: Uint8Array;
  /** Makes an encrypted database, whatever the settings say. */
  readonly encrypt?: true;
  /** Is given a copy of the passphrase, to zero when done. */
  readonly keep?: ((passphrase: Bytes) => void) | undefined;
}

export interface Onboarded {
  readonly id: string;
  /** What opens the vault: `passphrase`, and the variables that held a key. */
  readonly opening: readonly string[];
  readonly text: string;
  readonly advise: () => void;
}

/**
 * Asks for a passphrase and creates the vault. `advise` says what to do now; the caller says before that it is there.
 *
 * @throws CryptoError `ERR_CONFLICT` for any vault that is there, sound or damaged; `ERR_LOCKED` without a passphrase.
 */
export async function onboard(
  context: Context,
  { chosen, createKey = false, sources, otherwise, encrypt, keep }: OnboardOptions,
): Promise<Onboarded> {
  await refuseExisting(context);
  const place = await vaultPlace(context);
  hardenProcess();
  await checkKeyVariables(context);
  const { security } = await loadConfig(context.home);
  // Before the passphrase is asked for: a key that is not there ends it.
  await using chosenKey = await openDefaultKey(context, security, createKey);
  const keys = await keysForNewVault({ env: context.env });
  const opening = keys.map(({ source }) => source);
  let passphrase: Bytes | undefined;
  try {
    passphrase = await newPassphrase(context, sources, keys.length > 0, otherwise);
    await using vault = await createVault({
      ...place,
      home: context.home,
      credentials: [
        ...(passphrase === undefined ? [] : [{ kind: "passphrase" as const, passphrase }]),
        ...keys.map(({ secret, slotLabel }) => ({
          ...{ kind: "env" as const, key: secret, label: slotLabel },
        })),
      ],
      kdf: chosen?.kdf ?? (await configuredKdf(context.home)),
      acceptWeakKdf: chosen?.acceptWeakKdf,
      defaultKey: chosenKey.key,
      database: { ...security.dbEncryption, ...(encrypt ? { enabled: true } : {}) },
    });
    if (chosenKey.key && chosenKey.isNew) await auditCreation(vault, chosenKey.key.uri);
    await auditProviderChange(vault, security);
    if (passphrase !== undefined) {
      keep?.(passphrase.slice());
      opening.unshift("passphrase");
    }
    return {
      id: vault.id,
      opening,
      text: `Created a vault in ${place.store ? (await vault.status()).location : context.home}${chosenKey.key ? `, its default key is ${await uriOf(vault)}` : ""}`,
      advise: () => advise(context, opening),
    };
  } finally {
    zero(passphrase, ...keys.map(({ secret }) => secret));
  }
}

/** @param isOptional - There is a key that opens the vault, so it may do without. */
async function newPassphrase(
  context: Context,
  sources: OnboardOptions["sources"],
  isOptional: boolean,
  otherwise?: Uint8Array,
): Promise<Bytes | undefined> {
  const mayWait = !isOptional && otherwise === undefined;
  const unlocker = createUnlocker({
    ...sources,
    home: context.home,
    env: context.env,
    prompt: canAsk(context) && otherwise === undefined ? askSecret : undefined,
    // With a key at hand nobody waits for a passphrase that may never be piped in.
    stdinFree: mayWait || sources?.passphraseStdin === true,
  });
  try {
    const { passphrase } = await unlocker.obtainNewPassphrase({ check: refuseShort });
    await warnOfWeakness(context, passphrase);
    return passphrase;
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_LOCKED") throw error;
    if (otherwise !== undefined) {
      await warnOfWeakness(context, otherwise);
      return new Uint8Array(otherwise);
    }
    if (isOptional) return undefined;
    throw noNewPassphrase(error, context.json);
  }
}

const uriOf = async ({ keys }: Vault): Promise<string> => (await keys.describe("default")).uri;

/**
 * The key that the settings name, if they name another provider than `local`, and its provider.
 *
 * @throws CryptoError What is wrong with the settings, the provider or the key.
 */
async function openDefaultKey(
  context: Context,
  settings: KeySettings,
  create: boolean,
): Promise<{ readonly key: ProviderKey | undefined; readonly isNew: boolean } & AsyncDisposable> {
  if (settings.signer.provider === "local") {
    if (create) throw usageError("--create-key: security.signer.provider is local");
    return { key: undefined, isNew: false, [Symbol.asyncDispose]: async () => undefined };
  }
  const uri = configuredKey(settings, "encryption", context.home);
  if (settings.signer.provider === "rpc") throw notBeforePairing(uri);
  const watched = await openSigner(context, settings);
  const { provider } = watched;
  let found: string | undefined;
  let made: string | undefined;
  try {
    found = await findDefaultKey(provider, uri, create);
    made = found === undefined ? await makeRemoteKey(provider, uri, "encryption") : undefined;
  } catch (error) {
    await closeWatched(context.home, watched);
    throw isCryptoError(error) ? about(uri, error) : error;
  }
  return {
    key: { uri: found ?? made!, provider },
    isNew: made !== undefined,
    [Symbol.asyncDispose]: () => closeWatched(context.home, watched),
  };
}

const notBeforePairing = (uri: string): CryptoError =>
  new CryptoError("ERR_CONFIG", "A companion is paired with a vault, and there is none yet", {
    context: {
      hint: [
        "Onboard while security.signer.provider is local, then:",
        "lango companion pair",
        "lango settings set security.signer.provider rpc",
        `lango security provider migrate --to ${uri}`,
      ].join("\n"),
    },
  });

/** URI of the key; `undefined` when it is not there and `create` says that it shall be made. */
async function findDefaultKey(
  provider: CryptoProvider,
  named: string,
  create: boolean,
): Promise<string | undefined> {
  let found: FoundKey;
  try {
    found = await findRemoteKey(provider, named, "encryption");
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_KEY_NOT_FOUND") throw error;
    if (create) return undefined;
    const { code, message, context } = error;
    const hint = 'Correct security.kms, or have it made: "lango onboard --create-key"';
    throw new CryptoError(code, message, { context: { hint, ...context }, cause: error });
  }
  if (found.type === "encryption") return found.uri;
  // A token may have an AES key of the same label.
  if (create && provider.name === "pkcs11") return undefined;
  throw new CryptoError("ERR_KEY_USAGE", "it is for signing", {
    context: { hint: "Name one for encryption in security.kms.encryptKeyId" },
  });
}

/** The same failure, with the key that it is about: the settings may name it in another way than the service does. */
const about = (uri: string, { code, message, context, retryable }: CryptoError): CryptoError =>
  new CryptoError(code, `The default key cannot be ${uri}: ${message}`, { context, retryable });

function advise(context: Context, opening: readonly string[]): void {
  const what = opening.map((each) => (each === "passphrase" ? "this passphrase" : each));
  context.warn(
    `Whoever loses ${what.join(" and ")} loses the data: nothing else opens this vault. "lango security recovery setup" makes 24 words that do`,
  );
  context.note('Next: "lango security secrets set NAME" stores a secret,');
  context.note('      "lango run --env VAR=NAME -- CMD" hands it to a program.');
}

/** @throws CryptoError `ERR_CONFLICT` for any vault that is there, sound or damaged. */
export async function refuseExisting(context: Context): Promise<void> {
  const { home } = context;
  const { store } = await vaultPlace(context);
  // With a database too: a home is of one vault.
  refuse(home, home, await inspectHome(home));
  if (store) refuse(home, "the database", await inspectHome(home, store));
  else checkPrivate(home);
}

function refuse(home: string, where: string, state: HomeState): void {
  if (state === "absent" || state === "half-made") {
    return;
  }
  if (state === "ready") {
    throw conflict(`${where} holds a vault already`, "name another folder with --home");
  }
  const { damaged } = state;
  // A folder that others can write is no vault yet, and says itself how to mend it.
  const [hasSlots, hasDatabase] = ["keyslots.json", "lango.db"].map((name) =>
    existsSync(join(home, name)),
  );
  if (!hasSlots && !hasDatabase && isCryptoError(damaged) && damaged.code === "ERR_CONFIG") {
    throw damaged;
  }
  const doctor = 'run "lango doctor"';
  throw conflict(
    `${where} holds a damaged vault: ${damaged.message}`,
    hasSlots
      ? doctor
      : `${doctor}; if the original Lango made it, "lango security db-migrate --from-passphrase"`,
  );
}

const conflict = (message: string, way: string): CryptoError =>
  new CryptoError("ERR_CONFLICT", message, { context: { hint: `Nothing was changed; ${way}` } });
