import { resolve } from "node:path";
import {
  type CircuitState,
  type CryptoProvider,
  createResilientProvider,
  type HealthReport,
  isCryptoError,
  loadProvider,
  type ProviderEnv,
  parseKeyUri,
  type ResilienceOptions,
} from "@lango/crypto-core";
import type { Pkcs11Provider } from "@lango/crypto-pkcs11";
import { isUnlockVariable, type ProviderSlots, withoutUnlockVariables } from "@lango/unlock";
import { readVault } from "@lango/vault";
import { durationMs } from "../config/forms.ts";
import { absentProvider } from "./absent-provider.ts";
import {
  type LatePeers,
  latePeers,
  unverifiedPeers,
  type WatchedPeers,
} from "./companion-peers.ts";
import type { Context } from "./context.ts";
import { vaultPlace } from "./place.ts";
import { importProvider, installCommand } from "./provider-packages.ts";
import { type ProviderRecord, writeRecord } from "./provider-record.ts";
import {
  alsoConfigured,
  ambientSchemes,
  inWordsOfConfig,
  type KeySettings,
  PIN,
  requireSettings,
  settingsFor,
  targetOf,
} from "./provider-settings.ts";
import { providerFor } from "./remote-key.ts";
import { makeRpcProvider } from "./rpc-provider.ts";

/** The providers of one command, by the scheme of their keys. */
export interface Providers extends AsyncDisposable {
  /** Whose pins the companions must have. */
  readonly peers: LatePeers;
  readonly byScheme: Readonly<Record<string, CryptoProvider>>;
  /** Whether new values may be sealed under a local key while one cannot be reached. */
  readonly fallbackToLocal: Readonly<Record<string, boolean>>;
  /** The same providers, for slots that one of them opens. */
  readonly slots: ProviderSlots;
}

/**
 * Makes the providers that the settings name. With `local` nothing is loaded, unless the vault has keys or slots of another provider
 * that is configured; the SDK of one is loaded when its first call is made. One that is not installed, or badly configured,
 * fails where it is used.
 *
 * @param wanted - A scheme that is made too if it is configured, whatever the vault has.
 */
export async function openProviders(
  context: Context,
  settings: KeySettings,
  wanted?: string,
): Promise<Providers> {
  const { signer, kms } = settings;
  const names = [
    ...(signer.provider === "local" ? [] : [signer.provider]),
    ...(await namedByVault(context, alsoConfigured(settings), wanted)),
  ];
  const peers = latePeers(context);
  const made = await Promise.all(names.map((name) => makeWatched(context, name, settings, peers)));
  const byScheme = Object.fromEntries(made.map(({ provider }) => [provider.name, provider]));
  return {
    peers,
    byScheme,
    slots: {
      ambient: ambientSchemes(Object.keys(byScheme), context.env),
      open: async (scheme) => providerFor(byScheme, scheme),
    },
    fallbackToLocal: Object.fromEntries(
      made.map(({ provider: { name } }) => [
        name,
        name === "rpc" ? signer.fallbackToLocal : kms.fallbackToLocal,
      ]),
    ),
    async [Symbol.asyncDispose]() {
      // One after the other: they share the file that the reports go into.
      for (const each of made) await closeWatched(context.home, each);
    },
  };
}

/** Those of some providers of which the vault has keys or slots, and the one that is wanted. */
async function namedByVault(
  context: Context,
  names: readonly string[],
  wanted: string | undefined,
): Promise<string[]> {
  if (names.length === 0) return [];
  await using vault = await readVault(await vaultPlace(context));
  // An encrypted database does not show its keys before it is opened with what these may be needed for.
  if (vault.hidesRows) return [...names];
  const slots = await vault.slots.list();
  const used = [
    wanted,
    ...(await vault.keys.list()).map(({ provider }) => provider),
    ...slots.flatMap(({ uri }) => (uri === undefined ? [] : [parseKeyUri(uri).scheme])),
  ];
  return names.filter((name) => used.includes(name));
}

/** The provider of `security.signer.provider`, which is not `local`, without a vault: to ask it how it is. */
export const openSigner = (context: Context, settings: KeySettings): Promise<Watched> =>
  makeWatched(context, settings.signer.provider, settings, unverifiedPeers(context));

/** Closes a provider and keeps what was seen of it. Neither failing is a failure of the command, which has its result. */
export async function closeWatched(home: string, { provider, seen }: Watched): Promise<void> {
  const [record] = await Promise.allSettled([seen()]);
  await Promise.allSettled([provider.close()]);
  if (record.status === "fulfilled" && record.value) await writeRecord(home, record.value);
}

/** A provider, and what was seen of it. */
export interface Watched {
  readonly provider: CryptoProvider;
  /** `undefined` before its first answer. To be called before the provider is closed. */
  seen(): Promise<ProviderRecord | undefined>;
}

async function makeWatched(
  context: Context,
  name: string,
  settings: KeySettings,
  peers: WatchedPeers,
): Promise<Watched> {
  const target = targetOf(name, settings);
  let report: HealthReport | undefined;
  let circuit: CircuitState = "closed";
  const options: ResilienceOptions = {
    // A companion waits for a person, and repeats by itself what may be repeated.
    ...(name !== "rpc" && {
      deadline: { timeoutMs: durationMs(settings.kms.timeoutPerOperation) },
      retry: { retries: settings.kms.maxRetries },
    }),
    circuitBreaker: {
      onStateChange: ({ to }) => {
        circuit = to;
      },
    },
    healthCache: {
      onReport: (latest) => {
        report = latest;
      },
    },
  };
  try {
    const raw = await makeProvider(context, name, settings, peers);
    return {
      provider: createResilientProvider(raw, options),
      seen: async () =>
        report && {
          ...report,
          target,
          circuit,
          token: report.healthy ? await tokenOf(raw) : undefined,
        },
    };
  } catch (error) {
    // The scheme of the keys of another's package is in the package.
    if (!isCryptoError(error) || name.includes("/")) throw error;
    return { provider: absentProvider(name, error), seen: async () => undefined };
  }
}

/** A PKCS#11 provider says which token it works with: `security.kms.pkcs11.slotId` may be a number or an index. */
async function tokenOf(provider: CryptoProvider): Promise<string | undefined> {
  if (!("describeToken" in provider)) return undefined;
  const { describeToken } = provider as Pick<Pkcs11Provider, "describeToken">;
  const { label, serial, slotId, foundBy } = await describeToken();
  return `"${label}", serial ${serial}, in slot ${slotId}; found by ${foundBy}`;
}

/**
 * Loads a provider and makes it as the settings say, without retries and deadlines around it.
 *
 * @throws CryptoError `ERR_PROVIDER_NOT_INSTALLED` with the command; `ERR_CONFIG` that names the setting.
 */
export async function makeProvider(
  context: Context,
  name: string,
  settings: KeySettings,
  peers: WatchedPeers,
): Promise<CryptoProvider> {
  const module = await loadProvider(name, {
    import: (specifier) => importProvider(specifier, context.home),
    installHint: (packageName) => installCommand(packageName, context.home),
  });
  if (name === "rpc") return makeRpcProvider(context, settings.signer, peers);
  requireSettings(name, settings, context.home);
  hideUnlockVariables();
  const pinFile = name === "pkcs11" ? context.env[`${PIN}_FILE`] : "";
  try {
    const config = module.configSchema.parse({
      ...settingsFor(name, settings),
      // As a path: in a URL, # and % would mean something else.
      ...(pinFile ? { pinSource: resolve(pinFile) } : {}),
    });
    return await module.create(config, envFor(name, context));
  } catch (error) {
    throw isCryptoError(error) && error.code === "ERR_CONFIG"
      ? inWordsOfConfig(error, name, context.home)
      : error;
  }
}

/** The environment for a provider: nothing that opens the vault, and the PIN for the one provider that asks for it. */
const envFor = (name: string, { env }: Context): ProviderEnv => ({
  ...withoutUnlockVariables(env),
  ...(name === "pkcs11" && env[PIN] ? { [PIN]: env[PIN] } : {}),
});

/** Takes what opens the vault out of this process: an SDK may start a program for its credentials, which would inherit it. */
function hideUnlockVariables(): void {
  for (const name of Object.keys(process.env)) {
    if (isUnlockVariable(name)) delete process.env[name];
  }
}
