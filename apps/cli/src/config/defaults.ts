/** The settings of Lango, as `config.json` in its home holds them; every one may be left out there. */
export interface Config {
  readonly security: {
    readonly interceptor: {
      readonly enabled: boolean;
      readonly redactPii: boolean;
      readonly approvalPolicy: "dangerous" | "all" | "configured" | "none";
      readonly sensitiveTools: readonly string[];
      readonly exemptTools: readonly string[];
      readonly approvalTimeoutSec: number;
      readonly piiDisabledPatterns: readonly string[];
      readonly piiCustomPatterns: Readonly<Record<string, string>>;
      readonly presidio: {
        readonly enabled: boolean;
        readonly url: string;
        readonly scoreThreshold: number;
        readonly language: string;
        readonly onFailure: "deny" | "patterns";
      };
    };
    readonly signer: {
      readonly provider: string;
      readonly rpcUrl: string;
      readonly keyId: string;
      readonly fallbackToLocal: boolean;
    };
    readonly keyring: { readonly enabled: boolean };
    readonly dbEncryption: { readonly enabled: boolean; readonly cipherPageSize: number };
    readonly kms: {
      readonly region: string;
      readonly keyId: string;
      readonly encryptKeyId: string;
      readonly signKeyId: string;
      readonly endpoint: string;
      readonly fallbackToLocal: boolean;
      /** A number with a unit; `durationMs` reads it. */
      readonly timeoutPerOperation: string;
      readonly maxRetries: number;
      readonly azure: {
        readonly vaultUrl: string;
        readonly algorithm: "RSA-OAEP-256" | "RSA-OAEP";
      };
      readonly pkcs11: {
        readonly modulePath: string;
        readonly slotId: number;
        readonly keyLabel: string;
      };
    };
    /** `argon2id` or `pbkdf2-sha256[:ITERATIONS]`. */
    readonly kdf: string;
  };
  readonly audit: { readonly onFailure: "deny" | "spool"; readonly anchor: string };
  readonly payment: {
    /** Decimal amounts, as strings because binary fractions cannot hold them. */
    readonly limits: {
      readonly maxPerTx: string;
      readonly maxDaily: string;
      readonly autoApproveBelow: string;
    };
  };
  readonly gateway: {
    readonly bind: string;
    readonly port: number;
    readonly auth: { readonly token: string };
    readonly files: { readonly root: string };
  };
  readonly store: { readonly driver: "sqlite" | "postgres"; readonly url: string };
}

/** Every setting as it is when nobody set it. The schema takes its defaults from here. */
export const DEFAULTS: Config = {
  security: {
    interceptor: {
      enabled: true,
      redactPii: true,
      approvalPolicy: "dangerous",
      sensitiveTools: [],
      exemptTools: [],
      approvalTimeoutSec: 120,
      piiDisabledPatterns: [],
      piiCustomPatterns: {},
      presidio: {
        enabled: false,
        url: "http://localhost:5002",
        scoreThreshold: 0.7,
        language: "en",
        onFailure: "deny",
      },
    },
    signer: { provider: "local", rpcUrl: "", keyId: "", fallbackToLocal: false },
    keyring: { enabled: false },
    dbEncryption: { enabled: false, cipherPageSize: 4096 },
    kms: {
      region: "",
      keyId: "",
      encryptKeyId: "",
      signKeyId: "",
      endpoint: "",
      fallbackToLocal: true,
      timeoutPerOperation: "5s",
      maxRetries: 3,
      azure: { vaultUrl: "", algorithm: "RSA-OAEP-256" },
      pkcs11: { modulePath: "", slotId: 0, keyLabel: "" },
    },
    kdf: "argon2id",
  },
  audit: { onFailure: "deny", anchor: "" },
  payment: { limits: { maxPerTx: "1.00", maxDaily: "10.00", autoApproveBelow: "0.10" } },
  gateway: { bind: "loopback", port: 8080, auth: { token: "" }, files: { root: "" } },
  store: { driver: "sqlite", url: "" },
};
