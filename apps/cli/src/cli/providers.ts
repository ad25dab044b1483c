import {
  type CryptoProvider,
  createResilientProvider,
  isCryptoError,
  loadProvider,
  type ProviderEnv,
  type ProviderModule,
  type ResilienceOptions,
} from "@lango/crypto-core";
import { UNLOCK_VARIABLES, withoutUnlockVariables } from "@lango/unlock";
import { readVault } from "@lango/vault";
import { durationMs } from "../config/forms.ts";
import { absentProvider } from "./absent-provider.ts";
import type { Context } from "./context.ts";
import { importProvider, installCommand } from "./provider-packages.ts";
import { type ProviderRecord, writeRecord } from "./provider-record.ts";
import {
  alsoConfigured,
  inWordsOfConfig,
  type KeySettings,
  requireSettings,
  settingsFor,
  targetOf,
} from "./provider-settings.ts";

/** The providers of one command, by the scheme of their keys. */
export interface Providers extends AsyncDisposable {
  readonly byScheme: Readonly<Record<string, CryptoProvider>>;
  /** Whether new values may be sealed under a local key while one cannot be reached. */
  readonly fallbackToLocal: Readonly<Record<string, boolean>>;
}

/**
 * Makes the providers that the settings name. With `local` nothing is loaded, unless the vault has keys of another provider
 * that is configured; the SDK of one is loaded when its first call is made. One that is not installed, or badly configured,
 * fails where it is used.
 */
export async function openProviders(context: Context, settings: KeySettings): Promise<Providers> {
  const { signer, kms } = settings;
  const names = [
    ...(signer.provider === "local" ? [] : [signer.provider]),
    ...(await namedByVault(context.home, alsoConfigured(settings))),
  ];
  const made = await Promise.all(names.map((name) => makeWatched(context, name, settings)));
  return {
    byScheme: Object.fromEntries(made.map(({ provider }) => [provider.name, provider])),
    fallbackToLocal: Object.fromEntries(
      made.map(({ provider: { name } }) => [
        name,
        name === "rpc" ? signer.fallbackToLocal : kms.fallbackToLocal,
      ]),
    ),
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(made.map(({ provider }) => provider.close()));
      for (const { seen } of made) {
        const record = seen();
        if (record !== undefined) await writeRecord(context.home, record);
      }
    },
  };
}

/** Those of some providers of which the vault has keys. */
async function namedByVault(home: string, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  await using vault = await readVault({ home });
  const keys = await vault.keys.list();
  return names.filter((name) => keys.some(({ provider }) => provider === name));
}

/** The provider of `security.signer.provider`, which is not `local`. */
export const openSigner = (context: Context, settings: KeySettings): Promise<Watched> =>
  makeWatched(context, settings.signer.provider, settings);

/** A provider, and what was seen of it. */
export interface Watched {
  readonly provider: CryptoProvider;
  /** `undefined` before its first answer. */
  seen(): ProviderRecord | undefined;
}

async function makeWatched(
  context: Context,
  name: string,
  settings: KeySettings,
): Promise<Watched> {
  let report: Omit<ProviderRecord, "target" | "circuit"> | undefined;
  let circuit: ProviderRecord["circuit"] = "closed";
  const options: ResilienceOptions = {
    deadline: { timeoutMs: durationMs(settings.kms.timeoutPerOperation) },
    retry: { retries: settings.kms.maxRetries },
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
  const seen = (): ProviderRecord | undefined =>
    report && { ...report, target: targetOf(name, settings), circuit };
  try {
    const raw = await makeProvider(context, name, settings);
    return { provider: createResilientProvider(raw, options), seen };
  } catch (error) {
    // The scheme of the keys of another's package is in the package.
    if (!isCryptoError(error) || name.includes("/")) throw error;
    return { provider: absentProvider(name, error), seen };
  }
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
): Promise<CryptoProvider> {
  const module = await loadProvider(name, {
    import: (specifier) => importProvider(specifier, context.home),
    installHint: (packageName) => installCommand(packageName, context.home),
  });
  requireSettings(name, settings, context.home);
  hideUnlockVariables();
  return await module.create(parseSettings(context, module, name, settings), envFor(name, context));
}

function parseSettings(
  { home, env }: Context,
  module: ProviderModule,
  name: string,
  settings: KeySettings,
): unknown {
  const pinFile = name === "pkcs11" ? env[`${PIN}_FILE`] : "";
  try {
    return module.configSchema.parse({
      ...settingsFor(name, settings),
      ...(pinFile ? { pinSource: `file:${pinFile}` } : {}),
    });
  } catch (error) {
    throw isCryptoError(error) && error.code === "ERR_CONFIG"
      ? inWordsOfConfig(error.message, name, home)
      : error;
  }
}

const PIN = "LANGO_PKCS11_PIN";

/** The environment for a provider: nothing that opens the vault, and the PIN for the one provider that asks for it. */
const envFor = (name: string, { env }: Context): ProviderEnv => ({
  ...withoutUnlockVariables(env),
  ...(name === "pkcs11" && env[PIN] ? { [PIN]: env[PIN] } : {}),
});

/** Takes what opens the vault out of this process: an SDK may start a program for its credentials, which would inherit it. */
function hideUnlockVariables(): void {
  for (const name of Object.keys(process.env)) {
    if (UNLOCK_VARIABLES.includes(name.toUpperCase())) delete process.env[name];
  }
}
