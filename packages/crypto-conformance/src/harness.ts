import type {
  CryptoClient,
  CryptoProvider,
  MacAlgorithm,
  Operation,
  SignatureAlgorithm,
} from "@lango/crypto-core";
import type { Openssl } from "./openssl.ts";

/** A provider to be checked, and the keys that exist for the checks. */
export interface Harness {
  readonly provider: CryptoProvider;
  readonly keys: HarnessKeys;
  /**
   * Whether `decrypt` refuses what `wrapKey` made and `unwrapKey` what `encrypt` made. Default: true. If false, because
   * the service has one operation for both, the check is that they do open it: a README that says so stays true.
   */
  readonly separateWrap?: boolean;
  /** How many times at once the check of parallel calls encrypts and decrypts; it signs at most 50 times. Default: 50. */
  readonly parallelCalls?: number;
  /**
   * Whether every byte of a ciphertext is altered and every truncation tried, a call each. Default: true. If false, 16 of
   * them, evenly spread: for a service that bills each call.
   */
  readonly everyByte?: boolean;
  /**
   * Checks that fail because the server behind the provider is wrong, by name, each with what is wrong with it; for
   * `describeProvider` only. Such a check has to fail: when the server is mended, the entry has to go. Default: none.
   */
  readonly serverFaults?: Readonly<Record<string, string>>;
}

/** Key ids. A key whose operation the provider does not offer can be left out. */
export interface HarnessKeys {
  /** A well-formed id that no key has. */
  readonly missing: string;
  /** Two different keys for encryption. */
  readonly aead?: readonly [string, string];
  /** A signing key for each scheme; one RSA key may stand for several. */
  readonly signing?: Readonly<Partial<Record<SignatureAlgorithm, string>>>;
  readonly mac?: Readonly<Partial<Record<MacAlgorithm, string>>>;
  /** A disabled key of any usage, or why there can be none. */
  readonly disabled?: string | { readonly impossible: string };
  /** A key for encryption that the check may rotate; not one of the others. */
  readonly rotatable?: string;
  /** Gives the id of a key that the check may create, another one each time. */
  readonly fresh?: () => string;
}

/**
 * What a check stands on. An operation, scheme or capability that the provider does not offer turns the check into
 * another one: that {@link CryptoClient} refuses the call with `ERR_UNSUPPORTED`.
 */
export type Need =
  | Operation
  | SignatureAlgorithm
  | MacAlgorithm
  | "aad"
  | "wrapAad"
  | "signDigest"
  | "disabledKey";

/** What a check gets. */
export interface CheckContext extends Harness {
  /** Typed with every method; those of operations that are not offered may be missing, and `needs` keeps checks off them. */
  readonly provider: Required<CryptoProvider>;
  /** The provider as applications see it. */
  readonly client: CryptoClient;
  /** The second verifier of signatures, where it is installed. */
  readonly openssl: Openssl | undefined;
}

/** One statement about a provider that is true or not. It needs no test runner: `run` rejects if it is not. */
export interface Check {
  /** Unique; starts with the operation. */
  readonly name: string;
  readonly needs: readonly Need[];
  run(context: CheckContext): Promise<void>;
}
