import { CryptoError } from "@lango/crypto-core";

/** A vault or Managed HSM, from its checked URL. */
export interface Vault {
  /** Scheme and host without a slash at the end, e.g. `https://my-vault.vault.azure.net`. */
  readonly origin: string;
  /** Managed HSMs have no software keys, and a source of random bytes. */
  readonly managedHsm: boolean;
  readonly loopback: boolean;
  /** Where tokens for a sovereign cloud come from; `undefined` for the public one, which is the SDK's default. */
  readonly authorityHost: string | undefined;
}

const CLOUDS: readonly { readonly domain: string; readonly authorityHost?: string }[] = [
  { domain: "azure.net" },
  { domain: "azure.cn", authorityHost: "https://login.chinacloudapi.cn" },
  { domain: "usgovcloudapi.net", authorityHost: "https://login.microsoftonline.us" },
];
const LOOPBACK = new Set(["127.0.0.1", "[::1]", "localhost"]);

/**
 * Checks the URL of a vault: `https://NAME.vault.DOMAIN` or `https://NAME.managedhsm.DOMAIN`, where DOMAIN is one of
 * `azure.net`, `azure.cn` and `usgovcloudapi.net`; no port, path, query or user.
 *
 * @param allowLoopback - Takes `https://` on 127.0.0.1, ::1 and localhost too, with any port.
 * @throws {@link CryptoError} `ERR_CONFIG` for anything else.
 */
export function parseVaultUrl(vaultUrl: string, allowLoopback = false): Vault {
  const url = URL.canParse(vaultUrl) ? new URL(vaultUrl) : undefined;
  // What a URL parser would drop or rewrite is refused: the text must be the origin itself.
  const origin = vaultUrl.toLowerCase().replace(/\/$/, "");
  if (url?.protocol !== "https:" || url.origin !== origin) {
    throw invalid("vaultUrl is not https:// with a host and nothing after it");
  }
  if (LOOPBACK.has(url.hostname)) {
    if (!allowLoopback)
      throw invalid("vaultUrl is on this machine, which allowLoopback has to say");
    return { origin, managedHsm: false, loopback: true, authorityHost: undefined };
  }
  const [, service, domain] =
    /^https:\/\/[a-z0-9-]+\.(vault|managedhsm)\.([a-z]+\.[a-z]+)$/.exec(origin) ?? [];
  const cloud = CLOUDS.find((each) => each.domain === domain);
  if (cloud === undefined) throw invalid("vaultUrl is not a host of Azure Key Vault");
  return {
    origin,
    managedHsm: service === "managedhsm",
    loopback: false,
    authorityHost: cloud.authorityHost,
  };
}

const invalid = (fault: string): CryptoError =>
  new CryptoError("ERR_CONFIG", fault, {
    context: {
      provider: "azure-kv",
      hint: "vaultUrl is like https://my-vault.vault.azure.net or https://my-hsm.managedhsm.azure.net",
    },
  });
