import type {
  Bytes,
  KeyAlgorithm,
  KeyDescription,
  MacAlgorithm,
  SignatureAlgorithm,
} from "@lango/crypto-core";

/** Largest value that goes through a companion, in bytes. Larger ones are sealed under a data key that it wraps. */
export const MAX_VALUE_BYTES = 65_536;
export const MAX_AAD_BYTES = 8192;

interface Key {
  readonly keyId: string;
}
interface Used extends Key {
  readonly keyVersion: string;
}
interface Versioned extends Key {
  readonly keyVersion?: string | undefined;
}
interface WithAad {
  /** At most {@link MAX_AAD_BYTES}. */
  readonly aad?: Bytes | undefined;
}

/** Every method: what is asked, and what is answered, as the code sees it. On the wire bytes are base64. */
export interface Methods {
  encrypt: {
    params: Key & WithAad & { readonly plaintext: Bytes };
    result: Used & { readonly ciphertext: Bytes };
  };
  decrypt: {
    params: Versioned & WithAad & { readonly ciphertext: Bytes };
    result: { readonly plaintext: Bytes };
  };
  wrapKey: {
    params: Key & WithAad & { readonly key: Bytes };
    result: Used & { readonly wrappedKey: Bytes };
  };
  unwrapKey: {
    params: Versioned & WithAad & { readonly wrappedKey: Bytes };
    result: { readonly key: Bytes };
  };
  /** Exactly one of `message` and `digest`. */
  sign: {
    params: Key & {
      readonly message?: Bytes | undefined;
      readonly digest?: Bytes | undefined;
      readonly algorithm?: SignatureAlgorithm | undefined;
    };
    result: Used & { readonly signature: Bytes; readonly algorithm: SignatureAlgorithm };
  };
  mac: {
    params: Versioned & { readonly message: Bytes };
    result: Used & { readonly mac: Bytes; readonly algorithm: MacAlgorithm };
  };
  getPublicKey: {
    params: Versioned;
    result: Used & { readonly publicKey: Bytes; readonly algorithm: KeyAlgorithm };
  };
  /** With `keyId`: that key alone, or `ERR_KEY_NOT_FOUND`. At most 256 keys an answer; `cursor` goes on where it ended. */
  listKeys: {
    params: { readonly keyId?: string | undefined; readonly cursor?: string | undefined };
    result: { readonly keys: readonly KeyDescription[]; readonly cursor?: string | undefined };
  };
  "approval.request": {
    params: {
      /** 32 bytes over the whole action. */
      readonly commitment: Bytes;
      /** For the person, line by line; at most 32 lines of 1000 characters, shown escaped. */
      readonly summary: readonly string[];
      readonly dangerous: boolean;
      /** Milliseconds since the epoch. */
      readonly expiresAt: number;
    };
    result: {
      readonly approved: boolean;
      /** ECDSA P-256 r‖s, 64 bytes, by the key of the companion's certificate, over the commitment and the decision. */
      readonly signature: Bytes;
      /** Milliseconds since the epoch, by the companion's clock. */
      readonly decidedAt: number;
    };
  };
  "wallet.address": {
    params: { readonly keyId?: string | undefined };
    result: Key & { readonly address: string };
  };
  /** `transaction`: the unsigned bytes (EIP-2718 or RLP); `message`: signed as EIP-191 version 0x45. Exactly one. */
  "wallet.sign": {
    params: {
      readonly keyId?: string | undefined;
      readonly transaction?: Bytes | undefined;
      readonly message?: Bytes | undefined;
    };
    /** 65 bytes: r‖s with low s, then the recovery bit, 0 or 1. */
    result: Used & { readonly signature: Bytes };
  };
  status: {
    params: Readonly<Record<string, never>>;
    result: {
      readonly name: string;
      /** Whether a person has to say yes before keys are used. */
      readonly asks: boolean;
      readonly keys: number;
    };
  };
  /** The caller's next certificate (DER), and a signature by its key over the binding of the channel and the old pin. */
  rollover: {
    params: { readonly certificate: Bytes; readonly signature: Bytes };
    result: { readonly accepted: boolean };
  };
}

export type MethodName = keyof Methods;
export type Params<M extends MethodName> = Methods[M]["params"];
export type Result<M extends MethodName> = Methods[M]["result"];
