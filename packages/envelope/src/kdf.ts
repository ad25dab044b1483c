import * as nodeCrypto from "node:crypto";
import {
  type Bytes,
  CryptoError,
  fromBase64,
  randomBytesFresh,
  toBase64,
  toPlain,
} from "@lango/crypto-core";

/** How a passphrase becomes a key. Salts have 16 to 64 bytes. */
export type Kdf = Argon2idCosts<Bytes> | Pbkdf2Costs<Bytes>;
/** A {@link Kdf} in a keyslots file: the salt is base64. */
export type KdfJson = Argon2idCosts<string> | Pbkdf2Costs<string>;

/** Argon2id, version 0x13 (RFC 9106). */
export interface Argon2idCosts<Salt> {
  readonly name: "argon2id";
  /** 8 × parallelism to 1,048,576 (1 GiB). */
  readonly memoryKiB: number;
  /** 1 to 16. */
  readonly iterations: number;
  /** 1 to 16. */
  readonly parallelism: number;
  readonly salt: Salt;
}

/** PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2). */
export interface Pbkdf2Costs<Salt> {
  readonly name: "pbkdf2-sha256";
  /** 1 to 10,000,000. */
  readonly iterations: number;
  readonly salt: Salt;
}

const SALT_BYTES = 16;
const MAX_SALT_BYTES = 64;
const DERIVED_BYTES = 32;
// What a file may ask of the machine that opens it.
const MAX_MEMORY_KIB = 1024 * 1024;
const MAX_PASSES = 16;
const MAX_LANES = 16;
const MAX_PBKDF2_ITERATIONS = 10_000_000;
/** OWASP's figure for PBKDF2-HMAC-SHA-256, and our floor. */
const PBKDF2_ITERATIONS = 600_000;

/** Argon2id with 64 MiB, 3 passes, 4 lanes (RFC 9106 §4, second choice) and a new 16-byte salt. */
export const defaultKdf = (): Kdf => ({
  name: "argon2id",
  memoryKiB: 64 * 1024,
  iterations: 3,
  parallelism: 4,
  salt: randomBytesFresh(SALT_BYTES),
});

/**
 * Reads the value of `--kdf`.
 *
 * @param option - `argon2id`, `pbkdf2-sha256` (600,000 iterations) or `pbkdf2-sha256:N`.
 * @returns The costs with a new 16-byte salt. They may lie below the floor: see {@link isBelowFloor}.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for anything else.
 */
export const parseKdfOption = (option: string): Kdf => {
  if (option === "argon2id") return defaultKdf();
  const found = /^pbkdf2-sha256(?::([0-9]{1,8}))?$/.exec(option);
  const iterations = Number(found?.[1] ?? PBKDF2_ITERATIONS);
  if (found === null || !within(iterations, 1, MAX_PBKDF2_ITERATIONS)) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `Unknown key derivation ${JSON.stringify(option)}`,
      {
        context: { hint: "Use argon2id, pbkdf2-sha256 or pbkdf2-sha256:N with N up to 10000000" },
      },
    );
  }
  return { name: "pbkdf2-sha256", iterations, salt: randomBytesFresh(SALT_BYTES) };
};

/** Tells whether costs are weaker than Argon2id with 19 MiB, 2 passes, 1 lane, or PBKDF2 with 600,000 iterations. */
export const isBelowFloor = (kdf: Kdf | KdfJson): boolean =>
  kdf.name === "argon2id"
    ? kdf.memoryKiB < 19 * 1024 || kdf.iterations < 2
    : kdf.iterations < PBKDF2_ITERATIONS;

/**
 * Costs for whoever names none: those of {@link defaultKdf}, raised to any of an earlier Argon2id that is higher. The salt
 * is new.
 */
export const renewKdf = (old: Kdf | KdfJson): Kdf => {
  const kdf = defaultKdf();
  if (kdf.name !== "argon2id" || old.name !== "argon2id") return kdf;
  return {
    ...kdf,
    memoryKiB: Math.max(kdf.memoryKiB, old.memoryKiB),
    iterations: Math.max(kdf.iterations, old.iterations),
    parallelism: Math.max(kdf.parallelism, old.parallelism),
  };
};

/** The form that a keyslots file holds. */
export const kdfToJson = (kdf: Kdf): KdfJson => ({ ...kdf, salt: toBase64(kdf.salt) });

/**
 * Reads the form that a keyslots file holds.
 *
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` for a salt that is no base64 and for costs out of range.
 */
export const kdfFromJson = (json: KdfJson): Kdf => {
  const kdf = { ...json, salt: fromBase64(json.salt) ?? new Uint8Array() };
  if (!isInRange(kdf)) {
    throw new CryptoError("ERR_MALFORMED_ENVELOPE", `The costs of ${kdf.name} are out of range`);
  }
  return kdf;
};

/**
 * Derives 32 bytes from a passphrase.
 *
 * Argon2id runs in `@node-rs/argon2` where it is installed (several times as fast), else in Node itself (24.7 and later).
 *
 * @param passphrase - As {@link normalizePassphrase} returns it; not changed.
 * @returns 32 bytes; the caller zeroes them.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for costs out of range; `ERR_UNSUPPORTED` if neither
 *   implementation of Argon2 is there.
 */
export const derivePassphraseKey = async (passphrase: Uint8Array, kdf: Kdf): Promise<Bytes> => {
  if (!isInRange(kdf)) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `The costs of ${kdf.name} are out of range`);
  }
  if (kdf.name === "pbkdf2-sha256") return derivePbkdf2(passphrase, kdf);
  const accelerator = await loadArgon2();
  return accelerator === undefined
    ? deriveWithNode(passphrase, kdf)
    : deriveWithAccelerator(accelerator, passphrase, kdf);
};

const isInRange = (kdf: Kdf): boolean =>
  within(kdf.salt.length, SALT_BYTES, MAX_SALT_BYTES) &&
  (kdf.name === "argon2id"
    ? within(kdf.parallelism, 1, MAX_LANES) &&
      within(kdf.iterations, 1, MAX_PASSES) &&
      within(kdf.memoryKiB, 8 * kdf.parallelism, MAX_MEMORY_KIB) // RFC 9106 §3.1: at least 8 KiB per lane
    : within(kdf.iterations, 1, MAX_PBKDF2_ITERATIONS));

const within = (value: number, low: number, high: number): boolean =>
  Number.isInteger(value) && value >= low && value <= high;

const derivePbkdf2 = (passphrase: Uint8Array, kdf: Pbkdf2Costs<Bytes>): Promise<Bytes> =>
  new Promise((resolve, reject) => {
    nodeCrypto.pbkdf2(
      passphrase,
      kdf.salt,
      kdf.iterations,
      DERIVED_BYTES,
      "sha256",
      (error, key) => (error === null ? resolve(toPlain(key)) : reject(error)),
    );
  });

/** What is used of `@node-rs/argon2`, written out: whoever reads these types may not have it. */
interface Accelerator {
  hashRaw(
    passphrase: Uint8Array,
    costs: {
      readonly algorithm: number;
      readonly version: number;
      readonly memoryCost: number;
      readonly timeCost: number;
      readonly parallelism: number;
      readonly outputLen: number;
      readonly salt: Uint8Array;
    },
  ): Promise<Uint8Array>;
}

const loadArgon2 = async (): Promise<Accelerator | undefined> => {
  try {
    return await import("@node-rs/argon2");
  } catch {
    // Not installed, or without a binary for this machine: Node's own gives the same result, later.
    return undefined;
  }
};

/** For tests; call {@link derivePassphraseKey}. */
export const deriveWithAccelerator = async (
  accelerator: Accelerator,
  passphrase: Uint8Array,
  kdf: Argon2idCosts<Bytes>,
): Promise<Bytes> =>
  toPlain(
    await accelerator.hashRaw(passphrase, {
      algorithm: 2, // Argon2id
      version: 1, // 0x13
      memoryCost: kdf.memoryKiB,
      timeCost: kdf.iterations,
      parallelism: kdf.parallelism,
      outputLen: DERIVED_BYTES,
      salt: kdf.salt,
    }),
  );

/** For tests; call {@link derivePassphraseKey}. */
export const deriveWithNode = (passphrase: Uint8Array, kdf: Argon2idCosts<Bytes>): Promise<Bytes> =>
  new Promise((resolve, reject) => {
    // A namespace import, because a named one of what Node 22 lacks would fail the whole module.
    if (typeof nodeCrypto.argon2 !== "function") {
      reject(
        new CryptoError("ERR_UNSUPPORTED", `Node ${process.versions.node} has no Argon2`, {
          context: { hint: "Install @node-rs/argon2, or use Node 24.7 or later" },
        }),
      );
      return;
    }
    nodeCrypto.argon2(
      "argon2id",
      {
        message: passphrase,
        nonce: kdf.salt,
        memory: kdf.memoryKiB,
        passes: kdf.iterations,
        parallelism: kdf.parallelism,
        tagLength: DERIVED_BYTES,
      },
      (error, key) => (error === null ? resolve(toPlain(key)) : reject(error)),
    );
  });
