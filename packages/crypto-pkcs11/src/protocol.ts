/** What the child can be asked, and what it answers. Types only: parent and child share nothing else but the wire. */

/** An attribute of a template. Byte strings are hexadecimal. */
export interface AttributeValue {
  readonly type: number;
  readonly value: number | boolean | { readonly hex: string };
}

/** A mechanism with the parameters of this package. Lengths in bits where PKCS#11 has bits. */
export interface MechanismSpec {
  readonly type: number;
  readonly gcm?: { readonly tagBits: number };
  readonly pss?: { readonly hash: number; readonly mgf: number; readonly saltBytes: number };
  readonly oaep?: { readonly hash: number; readonly mgf: number };
}

/** Names one object of the token; it has to be the only one. Byte strings are hexadecimal. */
export interface ObjectRef {
  readonly class: number;
  readonly keyType?: number;
  readonly id?: string;
  readonly label?: string;
}

/** Which token: the last five of RFC 7512's attributes that concern tokens, as C_GetTokenInfo gives them. */
export interface TokenFacts {
  readonly slotId: number;
  readonly label: string;
  readonly serial: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly initialized: boolean;
  readonly loginRequired: boolean;
  readonly protectedAuthentication: boolean;
  readonly rng: boolean;
  /** Whether the slot is a hardware device by its own word. */
  readonly hardware: boolean;
  /** How many sessions it takes; `undefined` when it does not say or has no limit. */
  readonly maxSessions?: number;
}

/** What a token says about one of its keys. */
export interface KeyFacts {
  readonly class: number;
  readonly keyType: number;
  readonly id: string;
  readonly label: string;
  readonly sign: boolean;
  readonly decrypt: boolean;
  readonly unwrap: boolean;
  readonly sensitive: boolean;
  readonly extractable: boolean;
  readonly alwaysAuthenticate: boolean;
  /** DER, hexadecimal; keys on curves. */
  readonly ecParams?: string;
  readonly ecPoint?: string;
  /** Big-endian, hexadecimal; RSA keys. */
  readonly modulus?: string;
  readonly publicExponent?: string;
  /** Bytes of a secret key. */
  readonly valueLength?: number;
}

export interface MechanismFacts {
  readonly type: number;
  readonly flags: number;
}

/** Results of the look at what a token can do beyond its list; see probe.ts. */
export interface ProbeResults {
  readonly secp256k1: boolean;
  readonly oaepSha256: boolean;
}

/** Questions and their answers, by name. What is secret or large travels as byte strings, not in these. */
export interface Calls {
  /** Loads the library and initialises it. */
  start: {
    ask: { modulePath: string; libraryParameters?: string; flags?: number };
    answer: { tokens: TokenFacts[] };
  };
  /** Opens a session and closes the one before it. */
  open: {
    ask: { slotId: number };
    answer: { mechanisms: MechanismFacts[]; probes: ProbeResults };
  };
  /** bytes: the PIN, or none for a token with a PIN pad. */
  login: { ask: Record<never, never>; answer: Record<never, never> };
  info: { ask: { slotId: number }; answer: TokenFacts };
  find: { ask: { id?: string; label?: string; classes: number[] }; answer: { keys: KeyFacts[] } };
  /** bytes: data, then the PIN if the key wants one at each use. Answers with the signature. */
  sign: { ask: { key: string; mechanism: MechanismSpec }; answer: Record<never, never> };
  /** bytes: data and signature. */
  verify: { ask: { key: string; mechanism: MechanismSpec }; answer: { valid: boolean } };
  /** bytes: IV, AAD, data. Answers with the IV that was used and the output of the token. */
  encrypt: { ask: { key: string; mechanism: MechanismSpec }; answer: Record<never, never> };
  /** bytes: IV, AAD, data, then the PIN if the key wants one at each use. */
  decrypt: { ask: { key: string; mechanism: MechanismSpec }; answer: Record<never, never> };
  /** bytes: the key to wrap. `mechanisms`: the numbers that RFC 5649 may have; the child finds out which. */
  wrap: { ask: { key: string; mechanisms: number[] }; answer: Record<never, never> };
  /** bytes: the wrapped key. */
  unwrap: { ask: { key: string; mechanisms: number[] }; answer: Record<never, never> };
  generate: {
    ask: {
      mechanism: number;
      secret?: AttributeValue[];
      pair?: { publicKey: AttributeValue[]; privateKey: AttributeValue[] };
    };
    answer: KeyFacts;
  };
  random: { ask: { bytes: number }; answer: Record<never, never> };
}

export type CallName = keyof Calls;

/** What went wrong in the child: a return value of PKCS#11, or something of its own. */
export interface Failure {
  /** `CKR_…`, or an {@link OwnFailure}. */
  readonly name: string;
  /** The C_ function that gave it. */
  readonly method?: string;
  /** More about it: what was found. Never data of a call. */
  readonly detail?: string;
}

export type OwnFailure =
  | "PKCS11JS_MISSING"
  | "MODULE_MISSING"
  | "MODULE_BROKEN"
  | "NO_SESSION"
  | "OBJECT_GONE"
  | "OBJECT_AMBIGUOUS"
  | "MECHANISM_ABSENT"
  | "UNEXPECTED";
