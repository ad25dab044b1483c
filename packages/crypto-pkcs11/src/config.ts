import { isAbsolute } from "node:path";
import { type ConfigSchema, type ProviderModule, zero } from "@lango/crypto-core";
import { fail } from "./errors.ts";
import { findPin } from "./pin.ts";
import { createPkcs11Provider } from "./provider.ts";
import type { TokenChoice } from "./token-choice.ts";
import { formatKeyId, parseKeyId } from "./uri.ts";

/** Settings of the provider. The PIN is none of them: it comes from `LANGO_PKCS11_PIN` or the file of `pinSource`. */
export interface Pkcs11Config {
  /** Absolute path of the PKCS#11 library. */
  readonly modulePath: string;
  /** The slot with this number, or else the token with this index among those that are initialised. */
  readonly slotId?: number;
  /** Label of the key. */
  readonly keyLabel?: string;
  /** Key ids, which may name the token too: `token=…;object=…`. */
  readonly keyId?: string;
  readonly encryptKeyId?: string;
  readonly signKeyId?: string;
  /** `file:` and an absolute path. */
  readonly pinSource?: string;
}

const TEXTS = [
  "modulePath",
  "keyLabel",
  "keyId",
  "encryptKeyId",
  "signKeyId",
  "pinSource",
] as const;

/** What `loadProvider` finds. `create` reads `LANGO_PKCS11_PIN` of the environment that it is given. */
export const provider: ProviderModule<Pkcs11Config> = {
  name: "pkcs11",
  configSchema: { parse: parseConfig } satisfies ConfigSchema<Pkcs11Config>,
  async create(config, env) {
    const { modulePath, pinSource } = config;
    const pin = findPin(pinSource, env);
    try {
      return await createPkcs11Provider({
        modulePath,
        token: tokenOf(config),
        pin,
        healthKeyId: keyIds(config)[0],
      });
    } finally {
      if (pin !== undefined) zero(pin);
    }
  },
};

function parseConfig(input: unknown): Pkcs11Config {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw fail("ERR_CONFIG", "PKCS#11 provider: the configuration must be an object");
  }
  const settings = input as Readonly<Record<string, unknown>>;
  const faults: string[] = [];
  for (const [name, value] of Object.entries(settings)) {
    if (name === "slotId") {
      const fits = Number.isSafeInteger(value) && (value as number) >= 0;
      if (!fits) faults.push("slotId: must be a whole number from 0 on");
    } else if (!TEXTS.some((text) => text === name)) {
      faults.push(`${name}: unknown setting`);
    } else if (typeof value !== "string" || value === "") {
      faults.push(`${name}: must be a string that is not empty`);
    }
  }
  const { modulePath } = settings;
  if (modulePath === undefined) faults.push("modulePath: missing");
  else if (typeof modulePath === "string" && !isAbsolute(modulePath)) {
    faults.push("modulePath: must be an absolute path");
  }
  if (faults.length > 0) throw fail("ERR_CONFIG", `PKCS#11 provider: ${faults.join("; ")}`);
  return input as Pkcs11Config;
}

/** The keys that the settings name, the one for everything first. */
function keyIds({ keyId, signKeyId, encryptKeyId, keyLabel }: Pkcs11Config): string[] {
  // A label is a label, whatever it looks like.
  const labelled = keyLabel === undefined ? undefined : formatKeyId({ object: keyLabel });
  return [keyId, signKeyId, encryptKeyId, labelled].filter((id) => id !== undefined);
}

/** The slot of the settings, or else the token that a key id names. */
function tokenOf(config: Pkcs11Config): TokenChoice {
  const names = keyIds(config).map(parseKeyId);
  const label = names.find(({ token }) => token !== undefined)?.token;
  const serial = names.find((name) => name.serial !== undefined)?.serial;
  return { slotId: config.slotId, label, serial };
}
