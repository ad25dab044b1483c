import { type Bytes, bytesEqual, CryptoError, isCryptoError, zero } from "@lango/crypto-core";
import { parseAndZero, parseEncryptionKey } from "./parse-master-key.ts";
import type { SecretFileOptions } from "./secret-file.ts";
import { withoutFinalNewline } from "./source.ts";
import { surroundingsOf } from "./surroundings.ts";
import type { SlotInfo, UnlockOptions, VariableFault } from "./types.ts";
import { type Environment, findVariables, readVariables } from "./variables.ts";

/** The key of today, with the version `ENCRYPTION_KEY_VERSION`, 0 where that is not set. */
const CURRENT = "ENCRYPTION_KEY";
const VERSION = "ENCRYPTION_KEY_VERSION";
/** The key that comes after it. */
const NEXT = "ENCRYPTION_KEY_NEXT";
const OLDER = /^ENCRYPTION_KEY_V(\d+)(?:_FILE)?$/;
const MAX_VERSION = 999_999;

const LABEL = /^ENCRYPTION_KEY v\d+$/;

/** The label of the slot that a version of `ENCRYPTION_KEY` opens. */
export const encryptionKeyLabel = (version: number): string => `${CURRENT} v${version}`;

/** Whether a slot is one of `ENCRYPTION_KEY`. Others of kind `env` are for the master key: programs share the name of this one. */
export const isEncryptionKeySlot = ({ kind, label = "" }: Omit<SlotInfo, "id">): boolean =>
  kind === "env" && LABEL.test(label);

/** One version of `ENCRYPTION_KEY`. */
export interface EncryptionKey {
  /** The variable it came from: `ENCRYPTION_KEY`, `ENCRYPTION_KEY_V0`, `ENCRYPTION_KEY_NEXT`, or a `_FILE` form of one. */
  readonly variable: string;
  readonly version: number;
  /** 32 bytes; the receiver zeroes them. */
  readonly key: Bytes;
  /** Whether any process of this user could read it: it lies in a file. */
  readonly ambient: boolean;
}

/** Which versions are set, newest first, and what is wrong with their numbers. */
export interface EncryptionKeyPlan {
  readonly versions: readonly { readonly name: string; readonly version: number }[];
  readonly faults: readonly VariableFault[];
}

type Files = Omit<SecretFileOptions, "source">;

/** The variables that hold a version, newest first. */
export const encryptionKeyVariables = (env: Environment): string[] => {
  const older = olderNames(env).sort((a, b) => numberOf(b) - numberOf(a));
  return [NEXT, CURRENT, ...older].flatMap((name) => {
    const [first] = findVariables(env, [name]);
    return first ? [first.name] : [];
  });
};

const numberOf = (name: string): number => Number(OLDER.exec(name)?.[1]);

/** Looks which versions are set. Reads no key. */
export async function planEncryptionKeys(
  env: Environment,
  files: Files,
): Promise<EncryptionKeyPlan> {
  const faults: VariableFault[] = [];
  const add = (variables: readonly string[], problem: string, hint?: string): void =>
    void faults.push({ variables, problem, ...(hint === undefined ? {} : { hint }) });
  const current = await readVersion(env, files).catch((error: unknown) => {
    if (!isCryptoError(error)) throw error;
    add([VERSION], error.message, error.context.hint);
    return undefined;
  });
  const isSet = (name: string): boolean => findVariables(env, [name]).length > 0;
  const older = olderNames(env).flatMap((name) => {
    const digits = OLDER.exec(name)?.[1] ?? "";
    const version = Number(digits);
    if (String(version) === digits && version <= MAX_VERSION) return [{ name, version }];
    add([name], `${name} names no version: write 0 to ${MAX_VERSION} without leading zeros`);
    return [];
  });
  if (!isSet(CURRENT)) {
    const others = [
      ...(isSet(NEXT) ? [NEXT] : []),
      ...older.map(({ name }) => name),
      ...(isSet(VERSION) ? [VERSION] : []),
    ];
    if (others.length > 0) {
      const verb = others.length === 1 ? "is" : "are";
      add(others, `${others.join(", ")} ${verb} set, but ${CURRENT} is not`);
    }
  } else if (current !== undefined) {
    faults.push(...numberFaults(older, current));
  }
  // What a key opens is tried, so that a number which cannot be read hides no key.
  const versions = [
    ...(isSet(NEXT) ? [{ name: NEXT, version: (current ?? 0) + 1 }] : []),
    ...(isSet(CURRENT) ? [{ name: CURRENT, version: current ?? 0 }] : []),
    ...older.sort((a, b) => b.version - a.version),
  ];
  return { versions, faults };
}

/**
 * Reads every version that is set, newest first; one key under two names counts once.
 *
 * @throws CryptoError `ERR_CONFIG` for the first fault.
 */
export async function readEncryptionKeys(
  options: Pick<UnlockOptions, "env" | "containerSecrets" | "platform">,
): Promise<EncryptionKey[]> {
  const { env } = options;
  const { files } = surroundingsOf({ ...options, home: "", stdinFree: false });
  const { versions, faults } = await planEncryptionKeys(env, files);
  const [fault] = faults;
  if (fault) {
    const { problem, hint } = fault;
    throw new CryptoError("ERR_CONFIG", problem, hint === undefined ? {} : { context: { hint } });
  }
  const keys: EncryptionKey[] = [];
  try {
    for (const { name, version } of versions) {
      const variables = findVariables(env, [name]);
      const key = await readVariables(variables, files, (text, source) =>
        parseAndZero(text, source, parseEncryptionKey),
      );
      const [first] = variables;
      if (key === undefined || first === undefined) continue;
      if (keys.some((each) => bytesEqual(each.key, key))) {
        zero(key);
        continue;
      }
      keys.push({ variable: first.name, version, key, ambient: first.isPath });
    }
  } catch (error) {
    zero(...keys.map(({ key }) => key));
    throw error;
  }
  return keys;
}

function olderNames(env: Environment): string[] {
  const names = Object.entries(env).flatMap(([name, value]) =>
    value && OLDER.test(name) ? [name.replace(/_FILE$/, "")] : [],
  );
  return [...new Set(names)];
}

async function readVersion(env: Environment, files: Files): Promise<number> {
  const variables = findVariables(env, [VERSION]);
  const bytes = await readVariables(variables, files, (raw) => raw);
  if (bytes === undefined) return 0;
  const text = new TextDecoder().decode(withoutFinalNewline(bytes));
  if (/^(0|[1-9]\d*)$/.test(text) && Number(text) <= MAX_VERSION) return Number(text);
  const problem = `${variables[0]?.name ?? VERSION} is no whole number from 0 to ${MAX_VERSION}`;
  throw new CryptoError("ERR_CONFIG", problem);
}

/** Numbers that contradict each other, or of which one is missing. Two keys of one number are found when they are compared. */
function numberFaults(
  older: readonly { readonly name: string; readonly version: number }[],
  current: number,
): VariableFault[] {
  const faults: VariableFault[] = older
    .filter(({ version }) => version > current)
    .map(({ name, version }) => ({
      variables: [name, VERSION],
      problem: `${name} is newer than ${CURRENT}, which has version ${current}`,
      hint: `${VERSION} is the version of ${CURRENT} itself: set it to ${version + 1}, or name the key ${NEXT}`,
    }));
  const numbers = older.map(({ version }) => version).filter((version) => version < current);
  const missing: string[] = [];
  for (let version = Math.min(...numbers) + 1; version < current; version++) {
    if (numbers.includes(version)) continue;
    missing.push(`ENCRYPTION_KEY_V${version}`);
    if (missing.length === 3) break;
  }
  if (missing.length > 0) {
    faults.push({
      variables: [VERSION],
      problem: `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} missing between the versions that are set and version ${current} of ${CURRENT}`,
      hint: "Set them, or unset the older ones if nothing needs those any more",
    });
  }
  return faults;
}
