import { z } from "zod";
import { type Config, DEFAULTS } from "./defaults.ts";
import {
  isCompanionUrl,
  isDatabaseUrl,
  isKdf,
  isPageSize,
  isPattern,
  isProviderName,
  isServiceUrl,
  isTimeout,
} from "./forms.ts";

const { security, audit, payment, gateway, store } = DEFAULTS;
const { interceptor, signer, keyring, dbEncryption, kms } = security;

/** One setting: its type, its default, and one sentence for people. */
const setting = <T extends z.ZodType>(
  type: T,
  fallback: z.util.NoUndefined<z.output<T>>,
  sentence: string,
) => type.default(fallback).describe(sentence);

/** A group of settings, each of which may be left out, as may the group. Unknown keys are faults. */
const group = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never);

const flag = z.boolean();
const text = z.string().max(2048);
const names = z.array(z.string().min(1).max(256)).max(1000);
/** Empty, or of a form; a group needs a way to say "not set" that `settings set` can write. */
const emptyOr = (test: (value: string) => boolean, fault: string) =>
  text.refine((value) => value === "" || test(value), fault);

const serviceUrl = emptyOr(
  isServiceUrl,
  "must be an https:// address without user and password (http:// on this machine only)",
);
const companionUrl = emptyOr(
  isCompanionUrl,
  "must be an https:// or wss:// address of a host and port",
);
const databaseUrl = emptyOr(
  isDatabaseUrl,
  "must be a postgres:// address without a password; the whole address may stand in DATABASE_URL",
);
const amount = z
  .string()
  .regex(
    /^\d{1,12}(\.\d{1,6})?$/,
    'must be a decimal amount such as "1.00", with at most 6 decimals',
  );
const pattern = z.string().min(1).max(1000).refine(isPattern, "must be a regular expression");
/** What `config.json` may say. Parsing gives every setting, with defaults where the file is silent. */
export const configSchema: z.ZodType<Config> = group({
  security: group({
    interceptor: group({
      enabled: setting(
        flag,
        interceptor.enabled,
        "Whether the output of tools is redacted and tools need approval; secrets are masked in any case.",
      ),
      redactPii: setting(flag, interceptor.redactPii, "Whether personal data is redacted."),
      approvalPolicy: setting(
        z.enum(["dangerous", "all", "configured", "none"]),
        interceptor.approvalPolicy,
        "Which tools need approval: dangerous ones, all, those of sensitiveTools, or none.",
      ),
      sensitiveTools: setting(
        names,
        [...interceptor.sensitiveTools],
        "Tools that need approval under every policy but none.",
      ),
      exemptTools: setting(names, [...interceptor.exemptTools], "Tools that need no approval."),
      approvalTimeoutSec: setting(
        z.int().min(1).max(86_400),
        interceptor.approvalTimeoutSec,
        "Seconds until a request that nobody answers is denied.",
      ),
      piiDisabledPatterns: setting(
        names,
        [...interceptor.piiDisabledPatterns],
        "Built-in patterns of personal data that are not used.",
      ),
      piiCustomPatterns: setting(
        z.record(z.string().min(1).max(64), pattern),
        interceptor.piiCustomPatterns,
        "Further patterns of personal data: name and regular expression.",
      ),
      presidio: group({
        enabled: setting(
          flag,
          interceptor.presidio.enabled,
          "Whether a Presidio analyzer looks for personal data as well.",
        ),
        url: setting(serviceUrl, interceptor.presidio.url, "Address of the Presidio analyzer."),
        scoreThreshold: setting(
          z.number().min(0).max(1),
          interceptor.presidio.scoreThreshold,
          "Lowest score of a finding of Presidio that counts, 0 to 1.",
        ),
        language: setting(
          z.string().regex(/^[a-z]{2}$/, "must be a language of two letters"),
          interceptor.presidio.language,
          "Language that Presidio expects.",
        ),
        onFailure: setting(
          z.enum(["deny", "patterns"]),
          interceptor.presidio.onFailure,
          "What becomes of a text while Presidio does not answer: it is kept back, or the patterns have to do.",
        ),
      }),
    }),
    signer: group({
      provider: setting(
        z
          .string()
          .refine(
            isProviderName,
            "must be local, rpc, aws-kms, gcp-kms, azure-kv, pkcs11 or the name of a scoped package",
          ),
        signer.provider,
        "Who keeps the keys: local, rpc, aws-kms, gcp-kms, azure-kv, pkcs11 or a package.",
      ),
      rpcUrl: setting(
        companionUrl,
        signer.rpcUrl,
        "Address of the companion; empty: it is discovered.",
      ),
      keyId: setting(text, signer.keyId, "The companion's key."),
      fallbackToLocal: setting(
        flag,
        signer.fallbackToLocal,
        "Whether new data may be sealed under a local key while the companion is out of reach.",
      ),
    }),
    keyring: group({
      enabled: setting(
        flag,
        keyring.enabled,
        "Whether the keyring of the operating system is asked for the passphrase.",
      ),
    }),
    dbEncryption: group({
      enabled: setting(flag, dbEncryption.enabled, "Whether the whole database is encrypted."),
      cipherPageSize: setting(
        z.int().refine(isPageSize, "must be a power of two from 1024 to 65536"),
        dbEncryption.cipherPageSize,
        "Page size of a database that is encrypted from now on, in bytes, a power of two from 1024 to 65536.",
      ),
    }),
    kms: group({
      region: setting(text, kms.region, "Region of the key service."),
      keyId: setting(text, kms.keyId, "The key, in the service's own words."),
      encryptKeyId: setting(
        text,
        kms.encryptKeyId,
        "The key for encryption where it is another than keyId.",
      ),
      signKeyId: setting(
        text,
        kms.signKeyId,
        "The key for signatures where it is another than keyId.",
      ),
      endpoint: setting(
        serviceUrl,
        kms.endpoint,
        "Address of the service where it is not the usual one.",
      ),
      fallbackToLocal: setting(
        flag,
        kms.fallbackToLocal,
        "Whether new data may be sealed under a local key while the service is out of reach.",
      ),
      timeoutPerOperation: setting(
        z.string().refine(isTimeout, 'must be a duration from 1ms to 10m, such as "5s"'),
        kms.timeoutPerOperation,
        "How long one call may take, such as 500ms or 5s.",
      ),
      maxRetries: setting(
        z.int().min(0).max(10),
        kms.maxRetries,
        "How often a call that failed for the moment is made again; 3 means four attempts.",
      ),
      azure: group({
        vaultUrl: setting(serviceUrl, kms.azure.vaultUrl, "Address of the Azure key vault."),
        algorithm: setting(
          z.enum(["RSA-OAEP-256", "RSA-OAEP"]),
          kms.azure.algorithm,
          "Encryption scheme; RSA-OAEP uses SHA-1 and is for old data.",
        ),
      }),
      pkcs11: group({
        modulePath: setting(
          emptyOr(
            (value) => value.startsWith("/") || /^[A-Za-z]:\\/.test(value),
            "must be an absolute path",
          ),
          kms.pkcs11.modulePath,
          "Absolute path of the library of the token.",
        ),
        slotId: setting(
          z
            .int()
            .min(0)
            .max(2 ** 32 - 1),
          kms.pkcs11.slotId,
          "Slot of the token.",
        ),
        keyLabel: setting(text, kms.pkcs11.keyLabel, "Label of the key in the token."),
      }),
    }),
    kdf: setting(
      z
        .string()
        .refine(
          isKdf,
          "must be argon2id or pbkdf2-sha256[:ITERATIONS] with 600000 to 10000000 iterations",
        ),
      security.kdf,
      "How keys come from passphrases: argon2id or pbkdf2-sha256[:ITERATIONS].",
    ),
  }),
  audit: group({
    onFailure: setting(
      z.enum(["deny", "spool"]),
      audit.onFailure,
      "What happens when the audit cannot be written: deny the action, or spool up to 16 MiB.",
    ),
    anchor: setting(
      text,
      audit.anchor,
      "URI of the key that signs the audit chain; empty: it is not anchored.",
    ),
  }),
  payment: group({
    limits: group({
      maxPerTx: setting(amount, payment.limits.maxPerTx, "Most that one payment may cost."),
      maxDaily: setting(amount, payment.limits.maxDaily, "Most that may be spent in a day."),
      autoApproveBelow: setting(
        amount,
        payment.limits.autoApproveBelow,
        "Payments below this need no approval.",
      ),
    }),
  }),
  gateway: group({
    bind: setting(
      z.string().regex(/^(loopback|[0-9A-Za-z.:-]{1,253})$/, "must be loopback or an address"),
      gateway.bind,
      "Address that the gateway listens on; loopback: this machine only.",
    ),
    port: setting(
      z.int().min(0).max(65_535),
      gateway.port,
      "Port of the gateway; 0: any free one.",
    ),
    auth: group({
      token: setting(
        z.string().max(512),
        gateway.auth.token,
        "Token that clients of the gateway present; better in LANGO_GATEWAY_TOKEN.",
      ).meta({ writeOnly: true }),
    }),
    files: group({
      root: setting(
        text,
        gateway.files.root,
        "Folder that the gateway's file browser shows; empty: none.",
      ),
    }),
  }),
  store: group({
    driver: setting(
      z.enum(["sqlite", "postgres"]),
      store.driver,
      "Where the vault's rows are: a file in the home, or PostgreSQL.",
    ),
    url: setting(
      databaseUrl,
      store.url,
      "Address of the PostgreSQL database, without a password; empty: DATABASE_URL.",
    ),
  }),
});

/** The JSON Schema of `config.json` (draft 2020-12), for editors and for `settings schema`. */
export const configJsonSchema = (): JsonSchema =>
  z.toJSONSchema(configSchema, { io: "input", unrepresentable: "throw" }) as JsonSchema;

/** As much of JSON Schema as a schema of settings uses. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  /** A secret: written, but not shown. */
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
}
