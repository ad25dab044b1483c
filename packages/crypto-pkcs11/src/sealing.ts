import { createHash } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  concat,
  decryptionFailed,
  randomBytesFresh,
  toPlain,
  utf8,
  zero,
} from "@lango/crypto-core";
import {
  GCM,
  type KeyWrap,
  KWP_MECHANISMS,
  maxOaepBytes,
  type OaepHash,
  oaepMechanism,
} from "./algorithms.ts";
import { fail } from "./errors.ts";
import type { FoundKey } from "./keys.ts";
import type { CallSettings, Pool } from "./pool.ts";

/** What a ciphertext is for. Neither opens what the other made. */
export type Purpose = "encrypt" | "wrap";

/**
 * The first byte of every ciphertext: how it was made. What follows:
 *
 * - 1, AES-GCM: IV (12) ‖ ciphertext ‖ tag (16). The AAD that the token sees is `lango/v1/pkcs11/<purpose>` ‖ 00 ‖ AAD.
 * - 2, RSA-OAEP: the token's output. Its plaintext is SHA-256 of that same AAD ‖ plaintext.
 * - 3, AES key wrap with padding: RFC 5649.
 */
const FORMAT = { gcm: 1, oaep: 2, kwp: 3 } as const;

const IV_BYTES = 12;
const TAG_BYTES = 16;
const DIGEST_BYTES = 32;

export interface SealingOptions {
  readonly oaepHash: OaepHash;
  readonly oaepOffered: (settings: CallSettings) => Promise<boolean>;
  readonly keyWrap: KeyWrap;
  /** Whether the token makes the IV itself: then it gets zeros to write into. */
  readonly tokenMakesIv: boolean;
}

export interface Sealing {
  seal(
    purpose: Purpose,
    key: FoundKey,
    plaintext: Uint8Array,
    aad: Uint8Array | undefined,
    settings: CallSettings,
  ): Promise<Bytes>;
  /** @throws {@link CryptoError} `ERR_DECRYPTION_FAILED`, and what the pool throws. */
  open(
    purpose: Purpose,
    key: FoundKey,
    sealed: Uint8Array,
    aad: Uint8Array | undefined,
    settings: CallSettings,
  ): Promise<Bytes>;
}

export function createSealing(pool: Pool, options: SealingOptions): Sealing {
  const { oaepHash, keyWrap, tokenMakesIv } = options;

  const sealGcm = async (
    { ref }: FoundKey,
    plaintext: Uint8Array,
    bound: Uint8Array,
    settings: CallSettings,
  ): Promise<Bytes> => {
    // SP 800-38D §8.2.2: 96 random bits. A token that makes them itself writes over the zeros.
    const iv = tokenMakesIv ? new Uint8Array(IV_BYTES) : randomBytesFresh(IV_BYTES);
    const ask = { key: ref, mechanism: GCM };
    const { bytes } = await pool.call("encrypt", ask, {
      ...settings,
      bytes: [iv, bound, plaintext],
    });
    const [used, output] = bytes;
    const whole = output?.length === plaintext.length + TAG_BYTES && used?.length === IV_BYTES;
    if (!whole || (tokenMakesIv && used.every((byte) => byte === 0))) {
      throw fail("ERR_INTERNAL", "The token gave no IV, or no tag of 16 bytes", settings.context);
    }
    return concat(Uint8Array.of(FORMAT.gcm), used, output);
  };

  const openGcm = async (
    { ref, facts }: FoundKey,
    sealed: Uint8Array,
    bound: Uint8Array,
    settings: CallSettings,
  ): Promise<Bytes> => {
    // SoftHSM accepts a tag of any length, also none.
    if (sealed.length < IV_BYTES + TAG_BYTES) throw decryptionFailed("It is too short");
    const bytes = [sealed.subarray(0, IV_BYTES), bound, sealed.subarray(IV_BYTES)];
    const ask = { key: ref, mechanism: GCM };
    const withPin = facts.alwaysAuthenticate;
    const opened = await pool.call("decrypt", ask, { ...settings, bytes, withPin });
    return opened.bytes[0] ?? new Uint8Array();
  };

  const sealOaep = async (
    { facts, publicRef }: FoundKey,
    plaintext: Uint8Array,
    bound: Uint8Array,
    settings: CallSettings,
  ): Promise<Bytes> => {
    await checkOaep(settings);
    const room = maxOaepBytes((facts.modulus ?? "").length / 2, oaepHash);
    if (plaintext.length > room) {
      const message = `This RSA key takes ${room} bytes, not ${plaintext.length}`;
      throw fail("ERR_INVALID_ARGUMENT", message, settings.context);
    }
    const input = concat(sha256(bound), plaintext);
    try {
      const ask = { key: publicRef, mechanism: oaepMechanism(oaepHash) };
      const bytes = [new Uint8Array(), new Uint8Array(), input];
      const { bytes: results } = await pool.call("encrypt", ask, { ...settings, bytes });
      return concat(Uint8Array.of(FORMAT.oaep), results[1] ?? new Uint8Array());
    } finally {
      zero(input);
    }
  };

  const openOaep = async (
    { ref, facts }: FoundKey,
    sealed: Uint8Array,
    bound: Uint8Array,
    settings: CallSettings,
  ): Promise<Bytes> => {
    await checkOaep(settings);
    // RFC 8017 §7.1.2 step 1: as long as the modulus, no more and no less.
    if (sealed.length * 2 !== facts.modulus?.length)
      throw decryptionFailed("It has another length");
    const ask = { key: ref, mechanism: oaepMechanism(oaepHash) };
    const bytes = [new Uint8Array(), new Uint8Array(), sealed];
    const withPin = facts.alwaysAuthenticate;
    const opened = await pool.call("decrypt", ask, { ...settings, bytes, withPin });
    const [output = new Uint8Array()] = opened.bytes;
    try {
      const fits =
        output.length >= DIGEST_BYTES &&
        bytesEqual(output.subarray(0, DIGEST_BYTES), sha256(bound));
      if (!fits) throw decryptionFailed("Its purpose or its associated data is another");
      return new Uint8Array(output.subarray(DIGEST_BYTES));
    } finally {
      zero(output);
    }
  };

  const checkOaep = async (settings: CallSettings): Promise<void> => {
    if (await options.oaepOffered(settings)) return;
    throw fail("ERR_UNSUPPORTED", "The token has no RSA-OAEP with SHA-256", {
      ...settings.context,
      hint: 'Where SHA-1 is acceptable, set oaepHash: "sha1" in code',
    });
  };

  return {
    async seal(purpose, key, plaintext, aad, settings) {
      const bound = bind(purpose, aad);
      if (key.algorithm !== "aes-256-gcm") return sealOaep(key, plaintext, bound, settings);
      if (purpose === "encrypt" || keyWrap === "aes-gcm")
        return sealGcm(key, plaintext, bound, settings);
      refuseAad(aad, settings);
      // SoftHSM pads other lengths by itself and gives them back longer than they were.
      if (plaintext.length % 8 !== 0) {
        const message = `AES key wrap takes keys of whole 8 bytes, not of ${plaintext.length}`;
        throw fail("ERR_INVALID_ARGUMENT", message, settings.context);
      }
      const ask = { key: key.ref, mechanisms: [...KWP_MECHANISMS] };
      const { bytes } = await pool.call("wrap", ask, { ...settings, bytes: [plaintext] });
      return concat(Uint8Array.of(FORMAT.kwp), bytes[0] ?? new Uint8Array());
    },

    async open(purpose, key, sealed, aad, settings) {
      const bound = bind(purpose, aad);
      const body = sealed.subarray(1);
      const isAes = key.algorithm === "aes-256-gcm";
      if (sealed[0] === FORMAT.gcm && isAes) return openGcm(key, body, bound, settings);
      if (sealed[0] === FORMAT.oaep && !isAes) return openOaep(key, body, bound, settings);
      if (sealed[0] === FORMAT.kwp && isAes && purpose === "wrap") {
        refuseAad(aad, settings);
        // RFC 5649 §3: whole blocks of 8 bytes, at least two.
        if (body.length < 16 || body.length % 8 !== 0)
          throw decryptionFailed("It has another length");
        const ask = { key: key.ref, mechanisms: [...KWP_MECHANISMS] };
        const { bytes } = await pool.call("unwrap", ask, { ...settings, bytes: [body] });
        return bytes[0] ?? new Uint8Array();
      }
      throw decryptionFailed("It is no ciphertext of such a key");
    },
  };
}

/**
 * What is authenticated beside the plaintext. Never empty: SoftHSM 2.7 aborts on an empty AAD. And it keeps wrapped keys and
 * ciphertexts apart.
 */
function bind(purpose: Purpose, aad: Uint8Array = new Uint8Array()): Bytes {
  return concat(utf8(`lango/v1/pkcs11/${purpose}\0`), aad);
}

const sha256 = (bytes: Uint8Array): Bytes => toPlain(createHash("sha256").update(bytes).digest());

function refuseAad(aad: Uint8Array | undefined, { context }: CallSettings): void {
  if (aad === undefined || aad.length === 0) return;
  throw fail("ERR_UNSUPPORTED", "AES key wrap (RFC 5649) takes no associated data", context);
}
