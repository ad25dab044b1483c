import { CryptoError, type CryptoErrorCode, ERROR_CODES } from "@lango/crypto-core";
import { fault } from "./json.ts";

/** An error as JSON-RPC 2.0 §5.1 has it; `data` only with code -32000. */
export interface WireError {
  readonly code: number;
  readonly message: string;
  readonly data?:
    | {
        /** One of crypto-core's list. */
        readonly code: string;
        readonly retryable: boolean;
        readonly hint?: string | undefined;
      }
    | undefined;
}

export const FAILED = -32_000;
export const METHOD_NOT_FOUND = -32_601;
export const INVALID_PARAMS = -32_602;

/** What an error of the protocol means to the caller. */
const STANDARD: Readonly<Record<number, CryptoErrorCode>> = {
  [METHOD_NOT_FOUND]: "ERR_UNSUPPORTED",
  [INVALID_PARAMS]: "ERR_INVALID_ARGUMENT",
};

const MAX_TEXT = 1000;

/** One line without control and format characters: the other device chose it, and people read it. */
const clean = (text: string): string =>
  text.slice(0, MAX_TEXT).replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ");

/** Of an error only these go out: code, message, whether a retry helps, and the hint. */
export const toWireError = ({ code, message, retryable, context }: CryptoError): WireError => ({
  code: FAILED,
  message: clean(message),
  data: {
    code,
    retryable,
    ...(context.hint !== undefined && { hint: clean(context.hint) }),
  },
});

/** @throws CryptoError `ERR_UNAVAILABLE` for what is no error of JSON-RPC. */
export const parseWireError = (value: unknown): WireError => {
  if (typeof value !== "object" || value === null) throw fault("an error is no object");
  const { code, message, data } = value as Partial<Record<string, unknown>>;
  if (!Number.isInteger(code) || typeof message !== "string") {
    throw fault("an error has no code and message");
  }
  if (data === undefined) return { code: code as number, message };
  if (typeof data !== "object" || data === null) throw fault("data of an error is no object");
  const { code: name, retryable, hint } = data as Partial<Record<string, unknown>>;
  if (typeof name !== "string" || typeof retryable !== "boolean") {
    throw fault("data of an error has no code");
  }
  if (hint !== undefined && typeof hint !== "string") throw fault("a hint is no string");
  return { code: code as number, message, data: { code: name, retryable, hint } };
};

/**
 * What the caller gets. A code that is not of crypto-core's list is `ERR_INTERNAL`: whoever answers is there, and nobody may take
 * such a refusal for a reason to do without the companion.
 */
export const fromWireError = ({ code, message, data }: WireError): CryptoError => {
  const name = data?.code;
  if (code === FAILED && data && name !== undefined && Object.hasOwn(ERROR_CODES, name)) {
    return new CryptoError(name as CryptoErrorCode, clean(message), {
      retryable: data.retryable,
      context: data.hint === undefined ? {} : { hint: clean(data.hint) },
    });
  }
  return new CryptoError(STANDARD[code] ?? "ERR_INTERNAL", clean(message));
};
