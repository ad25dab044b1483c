import { inspect } from "node:util";
import { type CryptoErrorCode, isUnavailable } from "@lango/crypto-core";
import { GoogleError } from "google-gax";
import { describe, expect, test } from "vitest";
import { STATUS_CODES } from "../src/errors.ts";
import { createGcpKmsProvider, type GcpKmsClient } from "../src/index.ts";
import { CODES, Fault } from "./stand-in/resources.ts";
import { keyRing, withStandIn } from "./with-stand-in.ts";

const bench = withStandIn();
const plaintext = new Uint8Array(16).fill(7);

type Status = keyof typeof CODES;
interface Row {
  readonly status: Status;
  readonly code: CryptoErrorCode;
  readonly retryable: boolean;
  /** The row of the map of error classes that it stands for. */
  readonly what: string;
}
const rows: readonly Row[] = [
  { status: "RESOURCE_EXHAUSTED", code: "ERR_RATE_LIMITED", retryable: true, what: "throttled" },
  { status: "UNAVAILABLE", code: "ERR_UNAVAILABLE", retryable: true, what: "unavailable" },
  { status: "DEADLINE_EXCEEDED", code: "ERR_TIMEOUT", retryable: true, what: "unavailable" },
  { status: "INTERNAL", code: "ERR_UNAVAILABLE", retryable: true, what: "unavailable" },
  { status: "CANCELLED", code: "ERR_UNAVAILABLE", retryable: true, what: "unavailable" },
  {
    status: "UNAUTHENTICATED",
    code: "ERR_ACCESS_DENIED",
    retryable: false,
    what: "session lost, twice",
  },
  { status: "DATA_LOSS", code: "ERR_INTEGRITY", retryable: false, what: "integrity" },
  { status: "PERMISSION_DENIED", code: "ERR_ACCESS_DENIED", retryable: false, what: "denied" },
  { status: "FAILED_PRECONDITION", code: "ERR_KEY_DISABLED", retryable: false, what: "key state" },
  { status: "NOT_FOUND", code: "ERR_KEY_NOT_FOUND", retryable: false, what: "not found" },
  {
    status: "INVALID_ARGUMENT",
    code: "ERR_INVALID_ARGUMENT",
    retryable: false,
    what: "bad argument",
  },
  { status: "OUT_OF_RANGE", code: "ERR_INVALID_ARGUMENT", retryable: false, what: "bad argument" },
  { status: "ALREADY_EXISTS", code: "ERR_CONFLICT", retryable: false, what: "conflict" },
  { status: "ABORTED", code: "ERR_BUSY", retryable: true, what: "a change at the same time" },
  { status: "UNIMPLEMENTED", code: "ERR_UNSUPPORTED", retryable: false, what: "not there" },
  { status: "UNKNOWN", code: "ERR_INTERNAL", retryable: false, what: "nobody knows" },
];

test("every status code of gRPC but OK has a row", () => {
  expect(rows.map(({ status }) => CODES[status][0]).sort((a, b) => a - b)).toEqual(
    Object.keys(STATUS_CODES).map(Number),
  );
});

describe.each(["grpc", "rest"] as const)("trap 2b.10: errors over %s", (transport) => {
  test.each(rows)("$what: $status is $code", async ({ status, code, retryable }) => {
    const keyId = await bench.addKey();
    bench.standIn.rules.push({ method: "encrypt", fault: new Fault(status, "What it says.") });
    const call = bench.provider({ transport }).encrypt({ keyId, plaintext });
    await expect(call).rejects.toMatchObject({
      code,
      retryable,
      context: { provider: "gcp-kms", operation: "encrypt", keyId },
    });
    // The SDK's own retries are off.
    expect(bench.count("encrypt")).toBe(status === "UNAUTHENTICATED" ? 2 : 1);
  });

  test("bad ciphertext: INVALID_ARGUMENT of decrypt and unwrapKey is ERR_DECRYPTION_FAILED", async () => {
    const keyId = await bench.addKey();
    const provider = bench.provider({ transport });
    bench.standIn.rules.push({
      fault: new Fault("INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid."),
    });
    const calls = [
      () => provider.decrypt({ keyId, ciphertext: plaintext }),
      () => provider.unwrapKey({ keyId, wrappedKey: plaintext }),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    }
    // A forgery costs no look at the key.
    expect(bench.standIn.calls).toEqual(["decrypt", "decrypt"]);
  });

  test("session lost: UNAUTHENTICATED is tried once more, with credentials read anew", async () => {
    const keyId = await bench.addKey();
    bench.standIn.rules.push({ times: 1, fault: new Fault("UNAUTHENTICATED", "Expired.") });
    await bench.provider({ transport }).encrypt({ keyId, plaintext });
    expect(bench.count("encrypt")).toBe(2);
  });
});

test("session lost: calls at the same time renew once, and all of them succeed", async () => {
  const keyId = await bench.addKey();
  const provider = bench.provider();
  await provider.encrypt({ keyId, plaintext });
  const fault = new Fault("UNAUTHENTICATED", "Expired.");
  bench.standIn.rules.push({ method: "encrypt", times: 3, delayMs: 20, fault });
  bench.standIn.rules.push({ method: "encrypt", delayMs: 60 });
  await Promise.all(Array.from({ length: 10 }, () => provider.encrypt({ keyId, plaintext })));
  expect(bench.count("encrypt")).toBe(1 + 10 + 3);
});

test("only what means unavailability allows a fallback", async () => {
  const keyId = await bench.addKey();
  const provider = bench.provider();
  const unavailable: string[] = [];
  for (const { status } of rows) {
    bench.standIn.rules.splice(0, 9, { method: "encrypt", fault: new Fault(status, "") });
    const error = await provider.encrypt({ keyId, plaintext }).catch((each: unknown) => each);
    if (isUnavailable(error)) unavailable.push(status);
  }
  expect(unavailable).toEqual(["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "CANCELLED"]);
});

test("trap 2b.10: PERMISSION_DENIED names the permission and says that the key may not exist", async () => {
  const keyId = await bench.addKey();
  const text = `Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '${keyId}' (or it may not exist).`;
  bench.standIn.rules.push({ method: "encrypt", fault: new Fault("PERMISSION_DENIED", text) });
  await expect(bench.provider().encrypt({ keyId, plaintext })).rejects.toMatchObject({
    code: "ERR_ACCESS_DENIED",
    message: expect.stringContaining("cloudkms.cryptoKeyVersions.useToEncrypt is not granted"),
    context: { hint: expect.stringContaining("whether the key exists") },
  });
});

test("a server that is not there is ERR_UNAVAILABLE, over both transports", async () => {
  for (const transport of ["grpc", "rest"] as const) {
    const provider = bench.provider({ transport, endpoint: "http://127.0.0.1:1" });
    const call = provider.describeKey({ keyId: `${keyRing}/cryptoKeys/k`, timeoutMs: 5000 });
    await expect(call, transport).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    const health = provider.health({ keyId: `${keyRing}/cryptoKeys/k`, timeoutMs: 5000 });
    await expect(health, transport).resolves.toMatchObject({ healthy: false });
  }
});

test("an error of a gateway that is no JSON keeps its HTTP status", async () => {
  const { createServer } = await import("node:http");
  const gateway = createServer((_, response) => response.writeHead(502).end("<html>Bad gateway"));
  await new Promise<void>((resolve) => gateway.listen(0, "127.0.0.1", resolve));
  const { port } = gateway.address() as { port: number };
  const provider = bench.provider({ transport: "rest", endpoint: `http://127.0.0.1:${port}` });
  const call = provider.encrypt({ keyId: `${keyRing}/cryptoKeys/k`, plaintext });
  await expect(call).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  gateway.close();
});

/** A client whose every call rejects with one error. */
const failing = (error: unknown): GcpKmsClient => ({
  initialize: async () => {},
  innerApiCalls: new Proxy({}, { get: () => () => Promise.reject(error) }),
  close: async () => {},
});
const googleError = (code: number, message: string): GoogleError =>
  Object.assign(new GoogleError(message), { code });
const encryptWith = (error: unknown): Promise<unknown> =>
  createGcpKmsProvider({ client: failing(error) })
    .encrypt({ keyId: `${keyRing}/cryptoKeys/k`, plaintext })
    .catch((each: unknown) => each);

describe("errors of the SDK", () => {
  const plugin =
    "Getting metadata from plugin failed with error: request to https://oauth2.googleapis.com/token failed";
  const cases: readonly [string, unknown, CryptoErrorCode][] = [
    [
      "no token, for the token service is away",
      googleError(16, `${plugin}, reason: connect ECONNREFUSED`),
      "ERR_UNAVAILABLE",
    ],
    [
      "no token, for the grant is refused",
      googleError(16, `${plugin}: invalid_grant`),
      "ERR_ACCESS_DENIED",
    ],
    [
      "a network error without a status",
      Object.assign(new Error("x"), { code: "ECONNRESET" }),
      "ERR_UNAVAILABLE",
    ],
    ["something else", new TypeError("x is not a function"), "ERR_INTERNAL"],
    ["no error at all", "The client has already been closed.", "ERR_INTERNAL"],
    ["a status that does not exist", googleError(99, "x"), "ERR_INTERNAL"],
  ];
  test.each(cases)("%s", async (_, error, code) => {
    expect(await encryptWith(error)).toMatchObject({ code });
  });

  test("what they say and hold is not repeated: over REST it may be the request", async () => {
    for (const status of [undefined, 3, 7, 9, 13, 14]) {
      const error = Object.assign(new GoogleError("Cannot build a request for c2VjcmV0"), {
        ...(status !== undefined && { code: status }),
        config: { data: "c2VjcmV0" },
      });
      const shown = inspect(await encryptWith(error), { depth: 9, showHidden: true });
      expect(shown).toContain("CryptoError");
      expect(shown).not.toContain("c2VjcmV0");
    }
  });

  test("credentials that cannot be read, for the network is away, are no refusal", async () => {
    const initialize = () =>
      Promise.reject(Object.assign(new Error("x"), { code: "ECONNREFUSED" }));
    const provider = createGcpKmsProvider({ client: { ...failing(undefined), initialize } });
    const call = provider.encrypt({ keyId: `${keyRing}/cryptoKeys/k`, plaintext });
    await expect(call).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  });

  test("a client from outside is not renewed: UNAUTHENTICATED is asked once", async () => {
    let calls = 0;
    const client: GcpKmsClient = {
      ...failing(undefined),
      innerApiCalls: {
        encrypt: async () => {
          calls++;
          throw googleError(16, "Request had invalid authentication credentials.");
        },
      },
    };
    const provider = createGcpKmsProvider({ client });
    const call = provider.encrypt({ keyId: `${keyRing}/cryptoKeys/k`, plaintext });
    await expect(call).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED" });
    expect(calls).toBe(1);
  });
});
