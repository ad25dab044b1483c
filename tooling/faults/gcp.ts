import { createRequire } from "node:module";
import { fromJSON, type MethodDefinition } from "@grpc/proto-loader";
import { alteredJson, type Fault, type SeenRequest } from "./fault.ts";
import { type FaultRow, NETWORK_FAULTS, OUTCOMES } from "./row.ts";

const { final, throttled, unavailable } = OUTCOMES;

const SERVICE = "google.cloud.kms.v1.KeyManagementService";

type Method = "Encrypt" | "Decrypt";
type Message = Record<string, unknown>;

/** Calls of one method of Cloud KMS over gRPC, e.g. `Encrypt`. */
export const gcpMethod =
  (method: string) =>
  ({ path }: SeenRequest): boolean =>
    path === `/${SERVICE}/${method}`;

/** The answer of a method with some of its fields changed; names as in JavaScript, e.g. `ciphertextCrc32c`. */
export const gcpAltered = (method: Method, change: (answer: Message) => Message): Fault => ({
  kind: "alter",
  change: (body) => {
    const { responseDeserialize, responseSerialize } = definitionOf(method);
    return responseSerialize(change(responseDeserialize(body)));
  },
});

/** The messages as the SDK itself describes them. Read when the first answer is altered: it is a large file. */
const definitionOf = (method: Method): MethodDefinition<object, Message> => {
  const protos = createRequire(import.meta.url)("@google-cloud/kms/build/protos/protos.json");
  const service = fromJSON(protos)[SERVICE] as Record<string, MethodDefinition<object, Message>>;
  return service[method] as MethodDefinition<object, Message>;
};

/** A row for a status of the service. */
const row = (
  of: Pick<FaultRow, "class" | "expected" | "operation">,
  code: number,
  name: string,
): FaultRow => ({
  ...of,
  name: `${code} ${name}`,
  fault: { kind: "status", code, message: "As it is" },
});

// The provider asks again by itself, three times, and core does not add to that.
const mismatch = { ...final("ERR_INTEGRITY"), attempts: 4, struckOnce: "ok" } as const;

// Renewed once, and the same request sent again.
const renewed = { ...final("ERR_ACCESS_DENIED"), attempts: 2, struckOnce: "ok" } as const;

const wrong = { value: "1" };

/** What Cloud KMS, and the way to it, can do to a call over gRPC. */
export const GCP_FAULTS: readonly FaultRow[] = [
  row({ class: "throttled", expected: throttled }, 8, "RESOURCE_EXHAUSTED"),
  row({ class: "unavailable", expected: unavailable }, 13, "INTERNAL"),
  row({ class: "unavailable", expected: unavailable }, 14, "UNAVAILABLE"),
  row(
    { class: "unavailable", expected: { ...unavailable, code: "ERR_TIMEOUT" } },
    4,
    "DEADLINE_EXCEEDED",
  ),
  ...NETWORK_FAULTS,
  row({ class: "credentials", expected: renewed }, 16, "UNAUTHENTICATED"),
  {
    class: "integrity",
    name: "the ciphertext's checksum is wrong",
    fault: gcpAltered("Encrypt", (answer) => ({ ...answer, ciphertextCrc32c: wrong })),
    expected: mismatch,
  },
  {
    class: "integrity",
    name: "the ciphertext comes without its checksum",
    fault: gcpAltered("Encrypt", ({ ciphertextCrc32c: _, ...answer }) => answer),
    expected: mismatch,
  },
  {
    class: "integrity",
    name: "the plaintext's checksum is wrong",
    operation: "decrypt",
    fault: gcpAltered("Decrypt", (answer) => ({ ...answer, plaintextCrc32c: wrong })),
    expected: mismatch,
  },
  {
    class: "integrity",
    name: "the service did not verify the plaintext's checksum",
    fault: gcpAltered("Encrypt", (answer) => ({ ...answer, verifiedPlaintextCrc32c: false })),
    expected: mismatch,
  },
  {
    class: "integrity",
    name: "the answer names another key",
    fault: gcpAltered("Encrypt", (answer) => ({
      ...answer,
      name: String(answer["name"]).replace(/cryptoKeys\/[^/]+/, "cryptoKeys/another"),
    })),
    expected: mismatch,
  },
  {
    class: "integrity",
    name: "an answer that is no message",
    fault: { kind: "alter", change: () => Buffer.from("<html>") },
    expected: unavailable,
  },
  row({ class: "denied", expected: final("ERR_ACCESS_DENIED") }, 7, "PERMISSION_DENIED"),
  row({ class: "key state", expected: final("ERR_KEY_DISABLED") }, 9, "FAILED_PRECONDITION"),
  row({ class: "not found", expected: final("ERR_KEY_NOT_FOUND") }, 5, "NOT_FOUND"),
  row(
    { class: "bad ciphertext", operation: "decrypt", expected: final("ERR_DECRYPTION_FAILED") },
    3,
    "INVALID_ARGUMENT",
  ),
  row({ class: "bad argument", expected: final("ERR_INVALID_ARGUMENT") }, 3, "INVALID_ARGUMENT"),
  row({ class: "bad argument", expected: final("ERR_INVALID_ARGUMENT") }, 11, "OUT_OF_RANGE"),
];

/** Calls of one method of Cloud KMS over REST, e.g. `encrypt`: what stands behind the colon of the path. */
export const gcpRestMethod =
  (method: string) =>
  ({ path }: SeenRequest): boolean =>
    path.split("?")[0]?.endsWith(`:${method}`) ?? false;

/** A row for an error of the service over REST. */
const restRow = (
  of: Pick<FaultRow, "class" | "expected" | "operation">,
  code: number,
  status: string,
): FaultRow => ({
  ...of,
  name: `${code} ${status}`,
  fault: {
    kind: "answer",
    status: code,
    headers: { "content-type": "application/json; charset=UTF-8" },
    body: JSON.stringify({ error: { code, message: "As it is", status } }),
  },
});

/** What is different over REST: how errors are worded, and how messages are written. */
export const GCP_REST_FAULTS: readonly FaultRow[] = [
  restRow({ class: "throttled", expected: throttled }, 429, "RESOURCE_EXHAUSTED"),
  restRow({ class: "unavailable", expected: unavailable }, 500, "INTERNAL"),
  restRow({ class: "unavailable", expected: unavailable }, 503, "UNAVAILABLE"),
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
  restRow({ class: "credentials", expected: renewed }, 401, "UNAUTHENTICATED"),
  {
    class: "integrity",
    name: "the ciphertext's checksum is wrong",
    fault: alteredJson((answer) => ({ ...answer, ciphertextCrc32c: "1" })),
    expected: mismatch,
  },
  {
    class: "integrity",
    name: "an answer that is no JSON",
    fault: { kind: "alter", change: (body) => body.subarray(0, body.length >> 1) },
    expected: unavailable,
  },
  restRow({ class: "denied", expected: final("ERR_ACCESS_DENIED") }, 403, "PERMISSION_DENIED"),
  restRow({ class: "key state", expected: final("ERR_KEY_DISABLED") }, 400, "FAILED_PRECONDITION"),
  restRow({ class: "not found", expected: final("ERR_KEY_NOT_FOUND") }, 404, "NOT_FOUND"),
  restRow(
    { class: "bad ciphertext", operation: "decrypt", expected: final("ERR_DECRYPTION_FAILED") },
    400,
    "INVALID_ARGUMENT",
  ),
];
