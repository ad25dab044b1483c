import { alteredJson, type Fault, type SeenRequest } from "./fault.ts";
import { type FaultRow, NETWORK_FAULTS, OUTCOMES } from "./row.ts";

const { final, throttled, unavailable } = OUTCOMES;

/** Requests of one action of AWS KMS, e.g. `Encrypt`. */
export const awsAction =
  (action: string) =>
  ({ headers }: SeenRequest): boolean =>
    headers["x-amz-target"] === `TrentService.${action}`;

/** An error as AWS KMS words it: the class in `__type`, JSON 1.1. */
export const awsError = (status: number, type: string, message: string): Fault => ({
  kind: "answer",
  status,
  headers: {
    "content-type": "application/x-amz-json-1.1",
    "x-amzn-requestid": "00000000-0000-4000-8000-000000000000",
  },
  body: JSON.stringify({ __type: type, message }),
});

/** A row for an error of AWS KMS; without a status of its own it is a 400. */
const row = (
  of: Pick<FaultRow, "class" | "expected" | "operation">,
  type: string,
  status = 400,
): FaultRow => ({ ...of, name: `${status} ${type}`, fault: awsError(status, type, "As it is") });

const OTHER_KEY = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000";

/** What AWS KMS, and the way to it, can do to a call. */
export const AWS_FAULTS: readonly FaultRow[] = [
  row({ class: "throttled", expected: throttled }, "ThrottlingException"),
  row({ class: "throttled", expected: throttled }, "TooManyRequestsException", 429),
  row({ class: "unavailable", expected: unavailable }, "KMSInternalException", 500),
  row({ class: "unavailable", expected: unavailable }, "DependencyTimeoutException", 503),
  row({ class: "unavailable", expected: unavailable }, "KeyUnavailableException", 500),
  {
    class: "unavailable",
    name: "503 of a load balancer, in HTML",
    fault: {
      kind: "answer",
      status: 503,
      headers: { "content-type": "text/html" },
      body: "<html><body><h1>503 Service Unavailable</h1></body></html>",
    },
    expected: unavailable,
  },
  ...NETWORK_FAULTS,
  // Fetched anew once; then no attempt could do better.
  row({ class: "credentials", expected: { ...unavailable, attempts: 2 } }, "ExpiredTokenException"),
  {
    class: "integrity",
    name: "the answer names another key",
    fault: alteredJson((answer) => ({ ...answer, KeyId: OTHER_KEY })),
    expected: final("ERR_INTEGRITY"),
  },
  {
    class: "integrity",
    name: "the answer names another key",
    operation: "decrypt",
    fault: alteredJson((answer) => ({ ...answer, KeyId: OTHER_KEY })),
    expected: final("ERR_DECRYPTION_FAILED"),
  },
  {
    class: "integrity",
    name: "an answer that is no JSON",
    fault: { kind: "alter", change: (body) => body.subarray(0, body.length >> 1) },
    expected: unavailable,
  },
  row({ class: "denied", expected: final("ERR_ACCESS_DENIED") }, "AccessDeniedException"),
  row({ class: "denied", expected: final("ERR_ACCESS_DENIED") }, "InvalidGrantTokenException"),
  row({ class: "key state", expected: final("ERR_KEY_DISABLED") }, "DisabledException"),
  row({ class: "key state", expected: final("ERR_KEY_DISABLED") }, "KMSInvalidStateException"),
  row({ class: "not found", expected: final("ERR_KEY_NOT_FOUND") }, "NotFoundException"),
  row(
    { class: "bad ciphertext", operation: "decrypt", expected: final("ERR_DECRYPTION_FAILED") },
    "InvalidCiphertextException",
  ),
  row(
    { class: "bad ciphertext", operation: "decrypt", expected: final("ERR_DECRYPTION_FAILED") },
    "IncorrectKeyException",
  ),
  row({ class: "bad argument", expected: final("ERR_INVALID_ARGUMENT") }, "ValidationException"),
  row({ class: "bad argument", expected: final("ERR_KEY_USAGE") }, "InvalidKeyUsageException"),
  // A quota of keys or grants, which no waiting mends.
  row({ class: "bad argument", expected: final("ERR_INVALID_ARGUMENT") }, "LimitExceededException"),
];
