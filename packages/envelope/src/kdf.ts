import type { Bytes } from "@lango/crypto-core";

export type Kdf =
  | {
      readonly name: "argon2id";
      readonly memoryKiB: number;
      readonly iterations: number;
      readonly parallelism: number;
      readonly salt: Bytes;
    }
  | { readonly name: "pbkdf2-sha256"; readonly iterations: number; readonly salt: Bytes };
/** A {@link Kdf} in a keyslots file: the salt is base64. */
export type KdfJson =
  | {
      readonly name: "argon2id";
      readonly memoryKiB: number;
      readonly iterations: number;
      readonly parallelism: number;
      readonly salt: string;
    }
  | { readonly name: "pbkdf2-sha256"; readonly iterations: number; readonly salt: string };

export const defaultKdf = (): Kdf => {
  throw new Error("soon");
};
export const parseKdfOption = (_option: string): Kdf => {
  throw new Error("soon");
};
export const isBelowFloor = (_kdf: Kdf): boolean => {
  throw new Error("soon");
};
export const kdfToJson = (_kdf: Kdf): KdfJson => {
  throw new Error("soon");
};
export const kdfFromJson = (_json: KdfJson): Kdf => {
  throw new Error("soon");
};
export const normalizePassphrase = (_raw: Uint8Array): Bytes => {
  throw new Error("soon");
};
export const derivePassphraseKey = (_passphrase: Uint8Array, _kdf: Kdf): Promise<Bytes> =>
  Promise.reject(new Error("soon"));
