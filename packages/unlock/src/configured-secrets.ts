import {
  type Bytes,
  bytesEqual,
  fromBase64,
  fromHex,
  isCryptoError,
  utf8,
  zero,
} from "@lango/crypto-core";
import { planEncryptionKeys } from "./encryption-keys.ts";
import { parseAndZero, parseEncryptionKey } from "./parse-master-key.ts";
import { withoutFinalNewline } from "./source.ts";
import { surroundingsOf } from "./surroundings.ts";
import { tokenFault } from "./token-faults.ts";
import type { UnlockOptions, VariableFault } from "./types.ts";
import { type Environment, findVariables, readVariables } from "./variables.ts";

/** One key, token or password that the environment gives. */
export interface ConfiguredSecret {
  /** What it is called, whichever of its names was used: `LANGO_MASTER_KEY`, `ENCRYPTION_KEY_V0`, `REDIS_URL`. */
  readonly name: string;
  /** The variable that it came from: one of its names, or the `_FILE` form of one. */
  readonly variable: string;
  /** A key as its 32 bytes, however it was written; of a URL the password. The receiver zeroes it. */
  readonly secret: Bytes;
}

export interface ConfiguredSecrets {
  /** Those that can be read. */
  readonly secrets: readonly ConfiguredSecret[];
  /** Everything that is wrong. */
  readonly faults: readonly VariableFault[];
}

/** Where to look, and `gateway.auth.token` of the configuration. */
export type ConfiguredOptions = Pick<UnlockOptions, "env" | "containerSecrets" | "platform"> & {
  readonly gatewayToken?: string | undefined;
};

/** Turns what a variable holds into the secret; it zeroes what it does not return. */
type Parse = (raw: Bytes, source: string) => Bytes;

interface Thing {
  /** The first one is what it is called; the others are of older programs. All of them hold the same. */
  readonly names: readonly string[];
  readonly parse: Parse;
}

const masterKey: Parse = (raw, source) => parseAndZero(raw, source);
const encryptionKey: Parse = (raw, source) => parseAndZero(raw, source, parseEncryptionKey);

const token =
  (least?: number): Parse =>
  (raw, source) => {
    const text = withoutFinalNewline(raw);
    const fault = tokenFault(source, Buffer.from(text).toString("latin1"), least);
    if (fault === undefined) return text;
    raw.fill(0);
    throw fault;
  };

/** The password of a URL; nothing where it has none, or is no URL: whoever connects says so. */
const passwordOfUrl: Parse = (raw) => {
  const text = Buffer.from(raw).toString();
  raw.fill(0);
  return utf8(URL.canParse(text) ? new URL(text).password : "");
};

const THINGS: readonly Thing[] = [
  { names: ["LANGO_MASTER_KEY", "AUTHSOME_MASTER_KEY"], parse: masterKey },
  ...["", "_NEXT"].map((end) => ({
    names: [`LANGO_MESSAGE_ENCRYPTION_KEY${end}`, `PLATOS_MESSAGE_ENCRYPTION_KEY${end}`],
    parse: encryptionKey,
  })),
  { names: ["ADMIN_TOKEN"], parse: token(24) },
  // What the one server sends the other expects.
  { names: ["AGENT_SERVER_TOKEN", "AUTH_TOKEN"], parse: token() },
  { names: ["LANGO_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_TOKEN"], parse: token() },
  { names: ["REDIS_URL"], parse: passwordOfUrl },
  { names: ["DATABASE_URL"], parse: passwordOfUrl },
];

/**
 * Reads every key and token that the environment gives, and finds everything that is wrong with them at once: what cannot be
 * read or is no key, two names of one thing that differ, versions that contradict each other, one key for two purposes.
 */
export async function readConfiguredSecrets(
  options: ConfiguredOptions,
): Promise<ConfiguredSecrets> {
  const { env, files } = surroundingsOf({ ...options, home: "", stdinFree: false });
  const { versions, faults } = await planEncryptionKeys(env, files);
  const found: VariableFault[] = [...faults];
  const secrets: ConfiguredSecret[] = [];
  const things: readonly Thing[] = [
    ...THINGS,
    ...versions.map(({ name }) => ({ names: [name], parse: encryptionKey })),
  ];
  for (const { names, parse } of things) {
    const variables = findVariables(env, names);
    const [first] = variables;
    if (first === undefined) continue;
    const read: ConfiguredSecret[] = [];
    for (const variable of variables) {
      try {
        const secret = await readVariables([variable], files, parse);
        if (secret === undefined || secret.length === 0) continue;
        read.push({ name: names[0] ?? variable.name, variable: variable.name, secret });
      } catch (error) {
        found.push(asFault(error, [variable.name]));
      }
    }
    const [agreed, ...others] = read;
    if (agreed === undefined) continue;
    secrets.push(agreed);
    for (const other of others) {
      if (!bytesEqual(other.secret, agreed.secret)) found.push(differ(agreed, other.variable));
      zero(other.secret);
    }
  }
  checkGatewayToken(options, secrets, found);
  found.push(...sharedSecrets(secrets, currentVersion(versions)));
  return { secrets, faults: found };
}

/** All that is wrong with some variables, or with all. Zeroes what it read. @param only - Faults that have to do with one of these. */
export async function findVariableFaults(
  options: ConfiguredOptions,
  only?: (variable: string) => boolean,
): Promise<readonly VariableFault[]> {
  const { secrets, faults } = await readConfiguredSecrets(options);
  zero(...secrets.map(({ secret }) => secret));
  return only === undefined ? faults : faults.filter(({ variables }) => variables.some(only));
}

const asFault = (error: unknown, variables: readonly string[]): VariableFault => {
  if (!isCryptoError(error)) throw error;
  const { message, context } = error;
  return {
    variables,
    problem: message,
    ...(context.hint === undefined ? {} : { hint: context.hint }),
  };
};

const differ = ({ variable }: ConfiguredSecret, other: string): VariableFault => ({
  variables: [variable, other],
  problem: `${variable} and ${other} are both set and differ`,
  hint: MUST_MATCH.includes(other) ? "Give both servers the same token" : "Unset one of them",
});

/** The one pair that two servers of the older program are given on purpose. */
const MUST_MATCH: readonly string[] = ["AUTH_TOKEN", "AUTH_TOKEN_FILE"];

function checkGatewayToken(
  { gatewayToken = "" }: ConfiguredOptions,
  secrets: ConfiguredSecret[],
  found: VariableFault[],
): void {
  if (gatewayToken === "") return;
  const setting = "gateway.auth.token";
  const fault = tokenFault(setting, gatewayToken, undefined);
  if (fault !== undefined) found.push(asFault(fault, [setting]));
  const name = "LANGO_GATEWAY_TOKEN";
  const given = secrets.find((each) => each.name === name);
  const secret = utf8(gatewayToken);
  if (given === undefined) secrets.push({ name, variable: setting, secret });
  else if (!bytesEqual(given.secret, secret)) found.push(differ(given, setting));
}

/** `ENCRYPTION_KEY` and, where it is set as well, the variable of the same version: they are one key. */
const currentVersion = (
  versions: readonly { readonly name: string; readonly version: number }[],
): readonly string[] => {
  const current = versions.find(({ name }) => name === "ENCRYPTION_KEY");
  return versions
    .filter(({ name, version }) => name !== "ENCRYPTION_KEY_NEXT" && version === current?.version)
    .map(({ name }) => name);
};

/** Pairs that hold the same although they are for different purposes, and the pair that should and does not. */
function sharedSecrets(
  secrets: readonly ConfiguredSecret[],
  sameKey: readonly string[],
): VariableFault[] {
  const faults: VariableFault[] = [];
  const comparable = secrets.map(({ secret }) => asKey(secret));
  secrets.forEach((one, at) => {
    secrets.slice(0, at).forEach((other, index) => {
      const same = bytesEqual(comparable[at]!, comparable[index]!);
      const [first, second] = [other.variable, one.variable];
      if (sameKey.includes(one.name) && sameKey.includes(other.name)) {
        if (!same) {
          faults.push({
            variables: [first, second, "ENCRYPTION_KEY_VERSION"],
            problem: `${first} and ${second} are of the same version and differ`,
            hint: "ENCRYPTION_KEY_VERSION is the version of ENCRYPTION_KEY itself: one more than that of the key before",
          });
        }
      } else if (same) {
        faults.push({
          variables: [first, second],
          problem: `${first} and ${second} hold the same, but each needs its own`,
          hint: "Make another one with: openssl rand -hex 32",
        });
      }
    });
  });
  zero(...comparable);
  return faults;
}

/** The bytes that a text stands for if it is written like a key, so that a token which is the text of a key is found. */
function asKey(secret: Bytes): Bytes {
  if (secret.length < 43) return secret.slice();
  const text = Buffer.from(secret).toString("latin1");
  const key = fromHex(text) ?? fromBase64(text);
  return key?.length === 32 ? new Uint8Array(key) : secret.slice();
}

/** For {@link findVariableFaults}: the variables that can open the vault as `master key`. */
export const isMasterKeyVariable = (variable: string): boolean =>
  /^(LANGO|AUTHSOME)_MASTER_KEY(_FILE)?$/.test(variable);

/** For {@link findVariableFaults}: the versions of `ENCRYPTION_KEY`. */
export const isEncryptionKeyVariable = (variable: string): boolean =>
  /^ENCRYPTION_KEY(_VERSION|_NEXT|_V\d+)?(_FILE)?$/.test(variable);

/** Whether any variable is set that {@link readConfiguredSecrets} reads. */
export const hasConfiguredSecrets = (env: Environment): boolean =>
  Object.entries(env).some(
    ([name, value]) =>
      value &&
      (isEncryptionKeyVariable(name) ||
        THINGS.some(({ names }) => names.includes(name.replace(/_FILE$/, "")))),
  );
