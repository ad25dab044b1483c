import { type ConfigSchema, CryptoError } from "@lango/crypto-core";

/** What the configuration of this provider may say. Credentials come from the SDK's own chain, never from here. */
export interface AwsKmsConfig {
  readonly region?: string;
  /** `https://…`, or `http://` on this machine. */
  readonly endpoint?: string;
  /** The key that `health` looks at; requests name their own. */
  readonly keyId?: string;
  readonly encryptKeyId?: string;
  readonly signKeyId?: string;
}

const KEYS = ["region", "endpoint", "keyId", "encryptKeyId", "signKeyId"] as const;
const REGION = /^[a-z]{2,}(?:-[a-z]+)+-\d{1,2}$/;

/** Checks a configuration; `ERR_CONFIG` names the path of every fault. */
export const configSchema: ConfigSchema<AwsKmsConfig> = {
  parse(input) {
    if (typeof input !== "object" || input === null || Array.isArray(input)) {
      throw invalid(["the configuration is no object"]);
    }
    const faults = Object.entries(input).flatMap(([path, value]) => faultOf(path, value) ?? []);
    if (faults.length > 0) throw invalid(faults);
    return input as AwsKmsConfig;
  },
};

function faultOf(path: string, value: unknown): string | undefined {
  if (!(KEYS as readonly string[]).includes(path)) return `${path}: not known`;
  if (typeof value !== "string" || value === "") return `${path}: a text that is not empty`;
  if (path === "region" && !REGION.test(value)) return `${path}: a region such as eu-central-1`;
  if (path === "endpoint" && !isSafeEndpoint(value)) {
    return `${path}: an https URL without credentials, or http on this machine`;
  }
  return undefined;
}

/** Plaintext goes over this connection: unencrypted only where it does not leave the machine. */
function isSafeEndpoint(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return false;
  const isLoopback = /^(?:127(?:\.\d+){3}|\[::1\]|localhost)$/.test(url.hostname);
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback);
}

function invalid(faults: readonly string[]): CryptoError {
  return new CryptoError("ERR_CONFIG", `Configuration of aws-kms: ${faults.join("; ")}`, {
    context: { provider: "aws-kms" },
  });
}
