import type { CryptoErrorCode } from "@lango/crypto-core";
import { alteredJson, type Fault, type SeenRequest } from "./fault.ts";
import { type FaultRow, NETWORK_FAULTS, OUTCOMES, type Outcome } from "./row.ts";

const { final, throttled, unavailable } = OUTCOMES;

/** Requests of one operation on a key, e.g. `encrypt`: the last part of the path, `/keys/NAME/VERSION/encrypt`. */
export const azureOperation =
  (operation: string) =>
  ({ path }: SeenRequest): boolean =>
    path.split("?")[0]?.endsWith(`/${operation}`) ?? false;

/** An error as Azure Key Vault words it. `inner` is the more exact code, e.g. `KeyDisabled`. */
export const azureError = (
  status: number,
  code: string,
  { inner, headers }: { inner?: string; headers?: Readonly<Record<string, string>> } = {},
): Fault => ({
  kind: "answer",
  status,
  headers: { "content-type": "application/json; charset=utf-8", ...headers },
  body: JSON.stringify({
    error: {
      code,
      message: "As it is",
      ...(inner !== undefined && { innererror: { code: inner } }),
    },
  }),
});

/** A row for an error of the service. */
const row = (
  of: Pick<FaultRow, "class" | "expected" | "operation">,
  status: number,
  code: string,
  inner?: string,
): FaultRow => ({
  ...of,
  name: `${status} ${inner ?? code}`,
  fault: azureError(status, code, inner === undefined ? {} : { inner }),
});

/** What the service says with a 401, so that a client knows whom to ask for a token. */
const CHALLENGE =
  'Bearer authorization="https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555", resource="https://vault.azure.net"';

// A key is asked once more by the version that is current now: the one that was remembered may have been replaced.
const lookedUp = (code: CryptoErrorCode): Outcome => ({
  ...final(code),
  attempts: 2,
  struckOnce: "ok",
});

const otherKey = alteredJson((answer) => ({
  ...answer,
  kid: String(answer["kid"]).replace(/\/keys\/[^/]+/, "/keys/another"),
}));

/** What Azure Key Vault, and the way to it, can do to a call. */
export const AZURE_FAULTS: readonly FaultRow[] = [
  {
    class: "throttled",
    name: "429 Throttled, with Retry-After",
    fault: azureError(429, "Throttled", { headers: { "retry-after": "1" } }),
    expected: throttled,
  },
  row({ class: "unavailable", expected: unavailable }, 500, "InternalServerError"),
  row({ class: "unavailable", expected: unavailable }, 503, "ServiceUnavailable"),
  {
    class: "unavailable",
    name: "502 of a gateway, in HTML",
    fault: {
      kind: "answer",
      status: 502,
      headers: { "content-type": "text/html" },
      body: "<html><body><h1>502 Bad Gateway</h1></body></html>",
    },
    expected: unavailable,
  },
  ...NETWORK_FAULTS,
  {
    class: "credentials",
    name: "401 Unauthorized: the token has run out",
    fault: azureError(401, "Unauthorized", {
      headers: { "www-authenticate": CHALLENGE },
    }),
    // Renewed once: each of two clients asks, is told to get a token, and asks again.
    expected: { ...final("ERR_ACCESS_DENIED"), attempts: 4, struckOnce: "ok" },
  },
  {
    class: "integrity",
    name: "the answer names another key",
    fault: otherKey,
    expected: final("ERR_INTEGRITY"),
  },
  {
    class: "integrity",
    name: "the answer names another key",
    operation: "decrypt",
    fault: otherKey,
    expected: final("ERR_INTEGRITY"),
  },
  {
    class: "integrity",
    name: "an answer that is no JSON",
    fault: { kind: "alter", change: (body) => body.subarray(0, body.length >> 1) },
    expected: unavailable,
  },
  row(
    { class: "denied", expected: final("ERR_ACCESS_DENIED") },
    403,
    "Forbidden",
    "ForbiddenByRbac",
  ),
  row(
    { class: "denied", expected: final("ERR_ACCESS_DENIED") },
    403,
    "Forbidden",
    "ForbiddenByFirewall",
  ),
  row(
    { class: "key state", expected: lookedUp("ERR_KEY_DISABLED") },
    403,
    "Forbidden",
    "KeyDisabled",
  ),
  row(
    { class: "key state", expected: lookedUp("ERR_KEY_DISABLED") },
    403,
    "Forbidden",
    "KeyExpired",
  ),
  row(
    { class: "key state", expected: lookedUp("ERR_KEY_DISABLED") },
    403,
    "Forbidden",
    "KeyNotYetValid",
  ),
  row({ class: "not found", expected: lookedUp("ERR_KEY_NOT_FOUND") }, 404, "KeyNotFound"),
  row(
    { class: "bad ciphertext", operation: "decrypt", expected: final("ERR_DECRYPTION_FAILED") },
    400,
    "BadParameter",
  ),
  row({ class: "bad argument", expected: final("ERR_INVALID_ARGUMENT") }, 400, "BadParameter"),
  row(
    { class: "bad argument", expected: lookedUp("ERR_KEY_USAGE") },
    403,
    "Forbidden",
    "KeyOperationForbidden",
  ),
];
