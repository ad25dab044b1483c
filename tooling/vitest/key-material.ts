import { createRequire, syncBuiltinESMExports } from "node:module";
import { onTestFinished, vi } from "vitest";

const crypto: typeof import("node:crypto") = createRequire(import.meta.url)("node:crypto");

/** The memory of secrets that went through `node:crypto`, itself and no copy: what is zeroed there is zeros here. */
export interface KeyMaterial {
  /** Raw bytes that became a secret key object. */
  readonly keys: Uint8Array[];
  /** What HKDF gave, by its info. */
  readonly derived: { readonly info: string; readonly bytes: Uint8Array }[];
  /** What PBKDF2 derived from, and what it gave. */
  readonly passphrases: Uint8Array[];
  readonly passphraseKeys: Uint8Array[];
  /** What was encrypted. */
  readonly sealed: Uint8Array[];
  /** What was decrypted, before anybody knew whether it was authentic. */
  readonly opened: Uint8Array[];
}

/** Watches `node:crypto` until the test ends; all of it goes on working. */
export const watchKeyMaterial = (): KeyMaterial => {
  const seen: KeyMaterial = {
    keys: [],
    derived: [],
    passphrases: [],
    passphraseKeys: [],
    sealed: [],
    opened: [],
  };
  const { createSecretKey, hkdfSync, pbkdf2, createCipheriv, createDecipheriv } = crypto;
  const functions = crypto as unknown as Record<string, (...args: unknown[]) => unknown>;
  const put = (name: string, replacement: unknown): void =>
    void vi.spyOn(functions, name).mockImplementation(replacement as never);

  put("createSecretKey", (key: Uint8Array) => {
    seen.keys.push(key);
    return createSecretKey(key);
  });
  put("hkdfSync", (...args: Parameters<typeof hkdfSync>) => {
    const result = hkdfSync(...args);
    seen.derived.push({ info: String(args[3]), bytes: new Uint8Array(result) });
    return result;
  });
  put("pbkdf2", (...args: Parameters<typeof pbkdf2>) => {
    const done = args[5];
    seen.passphrases.push(args[0] as Uint8Array);
    pbkdf2(args[0], args[1], args[2], args[3], args[4], (error, key) => {
      seen.passphraseKeys.push(key);
      done(error, key);
    });
  });
  const watchUpdates = <T extends { update(data: Uint8Array): Uint8Array }>(
    cipher: T,
    note: (input: Uint8Array, output: Uint8Array) => void,
  ): T => {
    const update = cipher.update.bind(cipher);
    cipher.update = (data) => {
      const output = update(data);
      note(data, output);
      return output;
    };
    return cipher;
  };
  put("createCipheriv", (...args: Parameters<typeof createCipheriv>) =>
    watchUpdates(createCipheriv(...args) as never, (input) => void seen.sealed.push(input)),
  );
  put("createDecipheriv", (...args: Parameters<typeof createDecipheriv>) =>
    watchUpdates(createDecipheriv(...args) as never, (_, output) => void seen.opened.push(output)),
  );
  // Named imports of built-in modules follow the module's object only when they are told to.
  syncBuiltinESMExports();
  onTestFinished(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });
  return seen;
};

export const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** What HKDF derives and headers show. */
const PUBLIC = ["lango/v1/commit", "lango/v1/wrap-id"];

/** What was seen and is not zeros, by name. A test zeroes its own values before it asks. */
export const leftovers = (seen: KeyMaterial): string[] => {
  const named: [string, Uint8Array][] = [
    ...seen.keys.map((bytes): [string, Uint8Array] => ["key", bytes]),
    ...seen.derived
      .filter(({ info }) => !PUBLIC.includes(info))
      .map(({ info, bytes }): [string, Uint8Array] => [info, bytes]),
    ...seen.passphrases.map((bytes): [string, Uint8Array] => ["passphrase", bytes]),
    ...seen.passphraseKeys.map((bytes): [string, Uint8Array] => ["key of a passphrase", bytes]),
    ...seen.sealed.map((bytes): [string, Uint8Array] => ["plaintext before sealing", bytes]),
    ...seen.opened.map((bytes): [string, Uint8Array] => ["plaintext after opening", bytes]),
  ];
  return named.filter(([, bytes]) => !isZero(bytes)).map(([name]) => name);
};

/** As text, whatever byte arrays held when they were filled: copies that go nowhere else. */
export const watchFilled = (): string[] => {
  const filled: string[] = [];
  const typedArrays = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
  const { fill } = typedArrays;
  vi.spyOn(typedArrays, "fill").mockImplementation(function (this: Uint8Array, ...args) {
    filled.push(Buffer.from(this).toString());
    return fill.apply(this, args) as never;
  });
  onTestFinished(() => void vi.restoreAllMocks());
  return filled;
};
