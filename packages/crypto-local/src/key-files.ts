import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { isAbsolute } from "node:path";
import {
  type Bytes,
  type ConfigSchema,
  CryptoError,
  type ProviderModule,
  zero,
} from "@lango/crypto-core";
import { ALGORITHMS, isLocalAlgorithm, type LocalKeyAlgorithm } from "./algorithms.ts";
import { createMemoryKeySource } from "./memory-key-source.ts";
import { createLocalProvider } from "./provider.ts";

/** Settings of the local provider: which keys there are, and the files that hold them. Never the keys themselves. */
export interface LocalProviderConfig {
  /** By key id. */
  readonly keys: Readonly<Record<string, KeyFiles>>;
}

/** Where one key is. */
export interface KeyFiles {
  readonly algorithm: LocalKeyAlgorithm;
  /**
   * Absolute paths, the first for version 1. A file holds the bytes of one secret and nothing else, as
   * {@link importKeyMaterial} takes them, and belongs to the user of the process alone (mode 0600 or 0400).
   */
  readonly files: readonly string[];
}

/**
 * What `loadProvider` finds: a local provider over key files. It creates and rotates no keys, because they would be gone
 * with the process. `create` throws `ERR_CONFIG` for a file that is missing, open to other users, or no key of its
 * algorithm.
 */
export const provider: ProviderModule<LocalProviderConfig> = {
  name: "local",
  configSchema: { parse: parseConfig } satisfies ConfigSchema<LocalProviderConfig>,
  create({ keys }) {
    const secrets: Bytes[] = [];
    const load = (path: string, algorithm: LocalKeyAlgorithm): Bytes => {
      const secret = readKeyFile(path, ALGORITHMS[algorithm].materialBytes);
      secrets.push(secret);
      return secret;
    };
    try {
      const { get, list, close } = createMemoryKeySource(
        Object.entries(keys).map(([id, { algorithm, files }]) => ({
          id,
          algorithm,
          versions: files.map((path, index) => ({
            version: index + 1,
            material: load(path, algorithm),
          })),
        })),
      );
      return createLocalProvider({ source: { get, list, close } });
    } finally {
      zero(...secrets);
    }
  },
};

function parseConfig(input: unknown): LocalProviderConfig {
  const faults: string[] = [];
  const settings = asObject(input, "the configuration", faults);
  for (const name of Object.keys(settings)) {
    if (name !== "keys") faults.push(`${name}: unknown setting`);
  }
  for (const [id, value] of Object.entries(asObject(settings["keys"], "keys", faults))) {
    const path = `keys.${id}`;
    const key = asObject(value, path, faults);
    for (const name of Object.keys(key)) {
      if (name !== "algorithm" && name !== "files") faults.push(`${path}.${name}: unknown setting`);
    }
    if (id === "") faults.push("keys: a key has an empty name");
    if (!isLocalAlgorithm(key["algorithm"])) {
      faults.push(`${path}.algorithm: must be one of ${Object.keys(ALGORITHMS).join(", ")}`);
    }
    const files = key["files"];
    const valid =
      Array.isArray(files) &&
      files.length > 0 &&
      files.every((file) => typeof file === "string" && isAbsolute(file));
    if (!valid) faults.push(`${path}.files: must be a list of absolute paths, at least one`);
  }
  if (faults.length > 0) {
    throw new CryptoError("ERR_CONFIG", `Local provider: ${faults.join("; ")}`);
  }
  return input as LocalProviderConfig;
}

function asObject(value: unknown, path: string, faults: string[]): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  faults.push(`${path}: must be an object`);
  return {};
}

function readKeyFile(path: string, bytes: number): Bytes {
  let file: number;
  try {
    // Without O_NONBLOCK a named pipe would hold the whole process for ever.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CryptoError("ERR_CONFIG", `Key file ${path} cannot be opened (${code})`, { cause });
  }
  try {
    // Of the open file, so that it cannot be exchanged in between.
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new CryptoError("ERR_CONFIG", `Key file ${path} is no regular file`);
    if (stat.size !== bytes) {
      throw new CryptoError("ERR_CONFIG", `Key file ${path} has ${stat.size} bytes, not ${bytes}`);
    }
    // Windows has no such mode bits.
    if (process.platform !== "win32" && (stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
      throw new CryptoError(
        "ERR_CONFIG",
        `Key file ${path} has mode ${mode}: others may read or change it`,
        {
          context: { provider: "local", hint: `Run: chmod 600 '${path}'` },
        },
      );
    }
    const secret = new Uint8Array(bytes);
    readSync(file, secret);
    return secret;
  } finally {
    closeSync(file);
  }
}
