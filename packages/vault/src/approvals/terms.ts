import { createHmac, type KeyObject } from "node:crypto";
import { CryptoError, toHex, utf8 } from "@lango/crypto-core";
import { type JsonValue, jcs, parts } from "@lango/envelope";
import type {
  GrantedAction,
  GrantInfo,
  GrantQuery,
  GrantScope,
  NewGrant,
} from "../approval-types.ts";

// What has to be equal is one canonical text (JCS): a grant is for an action whose text is the same, to the last bit.

const ARGUMENTS = utf8("lango/v1/arguments");

type Terms = Readonly<Record<string, JsonValue | undefined>>;

/** The text of a grant. @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a scope that the action has nothing for. */
export const termsOf = (key: KeyObject, grant: NewGrant): string => {
  const { scope, action, process, anySession = false } = grant;
  const isOpen = scope === "command" || scope === "destination";
  const fault =
    scope === "process-tree" && process === undefined
      ? "a process"
      : scope === "command" && action.binary === undefined
        ? "a program"
        : scope === "destination" && action.destination === undefined
          ? "a destination"
          : anySession && !isOpen
            ? "a session"
            : undefined;
  if (fault !== undefined) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `A grant of scope ${scope} needs ${fault}`);
  }
  return text(key, scope, action, { process, anySession });
};

/** The texts of all grants that would allow an action. */
export const acceptedTerms = (key: KeyObject, query: GrantQuery): ReadonlySet<string> => {
  const { action, processes = [] } = query;
  return new Set([
    text(key, "minutes", action, {}),
    ...processes.map((process) => text(key, "process-tree", action, { process })),
    ...[true, false].flatMap((anySession) => [
      ...(action.binary === undefined ? [] : [text(key, "command", action, { anySession })]),
      ...(action.destination === undefined
        ? []
        : [text(key, "destination", action, { anySession })]),
    ]),
  ]);
};

const text = (
  key: KeyObject,
  scope: GrantScope,
  action: GrantedAction,
  { process, anySession = false }: { process?: string | undefined; anySession?: boolean },
): string => {
  const { tool, secret, amount, destination, binary, argv, cwd } = action;
  const session = anySession ? undefined : action.session;
  const always = { scope, tool, secret, amount, destination, binary };
  const terms: Readonly<Record<GrantScope, Terms>> = {
    minutes: { ...always, session, argv, cwd, arguments: argumentsMac(key, action) },
    "process-tree": { ...always, process },
    command: { ...always, session, argv, cwd },
    destination: { ...always, session },
  };
  return jcs(terms[scope] as Readonly<Record<string, JsonValue>>);
};

/** Not the arguments themselves: they may hold what a list of grants should not show. */
const argumentsMac = (key: KeyObject, action: GrantedAction): string | undefined =>
  action.arguments &&
  toHex(
    createHmac("sha256", key)
      .update(parts(ARGUMENTS, utf8(jcs(action.arguments))))
      .digest(),
  );

/** What the text of a grant says, for people. */
export const readTerms = (
  terms: string,
): Omit<GrantInfo, "id" | "dangerous" | "by" | "createdAt" | "expiresAt" | "uses"> => {
  const { arguments: _, ...shown } = JSON.parse(terms);
  return shown;
};
