import { type ConfigSchema, CryptoError } from "@lango/crypto-core";
import { parseVaultUrl } from "./vault-url.ts";

/** How RSA keys encrypt. `RSA-OAEP` is with SHA-1, and only opens what others have made. */
export type AzureEncryptionAlgorithm = "RSA-OAEP-256" | "RSA-OAEP";

/** The settings of a configuration file. */
export interface AzureKvConfig {
  /** `https://NAME.vault.azure.net`, `https://NAME.managedhsm.azure.net`, or one of a sovereign cloud. */
  readonly vaultUrl: string;
  /** Default: `RSA-OAEP-256`. With `RSA-OAEP` nothing can be encrypted or wrapped. */
  readonly algorithm?: AzureEncryptionAlgorithm;
  /** The key that `health` reads when it is not told one: `NAME`, `NAME/VERSION` or the key's URL. */
  readonly keyId?: string;
  /** As `keyId`, which comes first. */
  readonly encryptKeyId?: string;
  /** As `keyId`, after the two others. */
  readonly signKeyId?: string;
}

const FIELDS = ["vaultUrl", "algorithm", "keyId", "encryptKeyId", "signKeyId"] as const;

export const configSchema: ConfigSchema<AzureKvConfig> = {
  parse(input) {
    if (typeof input !== "object" || input === null || Array.isArray(input)) {
      throw invalid("the configuration is no object");
    }
    const faults = Object.entries(input).flatMap(([field, value]) => {
      if (!FIELDS.some((known) => known === field)) return `${field} is not known`;
      if (typeof value !== "string" || value === "") return `${field} is no text`;
      if (field === "algorithm") return faultOf(value);
      return [];
    });
    const config = input as AzureKvConfig;
    if (!Object.hasOwn(input, "vaultUrl")) faults.push("vaultUrl is missing");
    if (faults.length > 0) throw invalid(faults.join("; "));
    parseVaultUrl(config.vaultUrl);
    return config;
  },
};

const faultOf = (algorithm: string): string[] => {
  if (algorithm === "RSA-OAEP-256" || algorithm === "RSA-OAEP") return [];
  const reason = algorithm === "RSA1_5" ? "RSA1_5 is refused: its padding can be attacked" : "";
  return [`algorithm is neither RSA-OAEP-256 nor RSA-OAEP${reason && ` (${reason})`}`];
};

const invalid = (message: string): CryptoError =>
  new CryptoError("ERR_CONFIG", message, { context: { provider: "azure-kv" } });
