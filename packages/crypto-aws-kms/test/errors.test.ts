import * as sdk from "@aws-sdk/client-kms";
import {
  type CryptoError,
  type CryptoErrorCode,
  createResilientProvider,
  isUnavailable,
} from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../src/errors.ts";
import { createAwsKmsProvider } from "../src/index.ts";
import { KEY_ARN, standIn } from "./stand-in.ts";

const options = { $metadata: { httpStatusCode: 400, requestId: "d1-e2" }, message: "hunter2" };

/** An exception that the SDK has no class for comes as its base class with the name of the wire. */
const unmodelled = (name: string, status = 400) =>
  new sdk.KMSServiceException({
    name,
    $fault: "client",
    message: "hunter2",
    $metadata: { httpStatusCode: status, requestId: "d1-e2" },
  });
const network = (code: string) => Object.assign(new Error("hunter2"), { code });

interface Row {
  readonly error: Error;
  readonly code: CryptoErrorCode;
  readonly retryable: boolean;
  /** Whether the breaker counts it and a fallback may take over. */
  readonly unavailable: boolean;
}

const row = (
  code: CryptoErrorCode,
  error: Error,
  { retryable = false, unavailable = false } = {},
): Row => ({ error, code, retryable, unavailable });
const throttled = { retryable: true };
const down = { retryable: true, unavailable: true };
const lost = { unavailable: true };

const rows: Readonly<Record<string, Row[]>> = {
  throttled: [
    row("ERR_RATE_LIMITED", unmodelled("ThrottlingException"), throttled),
    row("ERR_RATE_LIMITED", unmodelled("Throttling"), throttled),
    row("ERR_RATE_LIMITED", unmodelled("TooManyRequestsException"), throttled),
    row("ERR_RATE_LIMITED", unmodelled("RequestLimitExceeded"), throttled),
    row("ERR_RATE_LIMITED", unmodelled("NewName", 429), throttled),
  ],
  unavailable: [
    row("ERR_UNAVAILABLE", new sdk.KMSInternalException(options), down),
    row("ERR_UNAVAILABLE", new sdk.DependencyTimeoutException(options), down),
    row("ERR_UNAVAILABLE", new sdk.KeyUnavailableException(options), down),
    row("ERR_UNAVAILABLE", unmodelled("InternalFailure", 500), down),
    row("ERR_UNAVAILABLE", unmodelled("ServiceUnavailable", 503), down),
    row("ERR_UNAVAILABLE", unmodelled("ServiceUnavailableException", 503), down),
    row("ERR_UNAVAILABLE", unmodelled("NewName", 502), down),
    row("ERR_UNAVAILABLE", Object.assign(new Error("hunter2"), { name: "TimeoutError" }), down),
    ...["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EPIPE", "ENOTFOUND", "EAI_AGAIN"].map((code) =>
      row("ERR_UNAVAILABLE", network(code), down),
    ),
    row("ERR_UNAVAILABLE", network("DEPTH_ZERO_SELF_SIGNED_CERT"), lost),
  ],
  "session lost": [
    row("ERR_UNAVAILABLE", unmodelled("ExpiredTokenException"), lost),
    row("ERR_UNAVAILABLE", unmodelled("ExpiredToken"), lost),
  ],
  denied: [
    row("ERR_ACCESS_DENIED", unmodelled("AccessDeniedException")),
    row("ERR_ACCESS_DENIED", new sdk.InvalidGrantTokenException(options)),
    row("ERR_ACCESS_DENIED", unmodelled("OptInRequired", 403)),
    row("ERR_ACCESS_DENIED", unmodelled("UnrecognizedClientException")),
    row("ERR_ACCESS_DENIED", unmodelled("InvalidClientTokenId", 403)),
    row("ERR_ACCESS_DENIED", unmodelled("InvalidSignatureException")),
    row("ERR_ACCESS_DENIED", unmodelled("IncompleteSignature")),
    row("ERR_ACCESS_DENIED", unmodelled("MissingAuthenticationToken", 403)),
    row("ERR_ACCESS_DENIED", unmodelled("MissingAuthenticationTokenException")),
    row("ERR_ACCESS_DENIED", unmodelled("NewName", 403)),
    row(
      "ERR_ACCESS_DENIED",
      Object.assign(new Error("hunter2"), { name: "CredentialsProviderError" }),
    ),
  ],
  "key state": [
    row("ERR_KEY_DISABLED", new sdk.DisabledException(options)),
    row("ERR_KEY_DISABLED", new sdk.KMSInvalidStateException(options)),
  ],
  "not found": [
    row("ERR_KEY_NOT_FOUND", new sdk.NotFoundException(options)),
    row("ERR_KEY_NOT_FOUND", new sdk.InvalidArnException(options)),
  ],
  "bad ciphertext": [
    row("ERR_DECRYPTION_FAILED", new sdk.InvalidCiphertextException(options)),
    row("ERR_DECRYPTION_FAILED", new sdk.IncorrectKeyException(options)),
  ],
  "bad argument": [
    row("ERR_INVALID_ARGUMENT", unmodelled("ValidationException")),
    row("ERR_INVALID_ARGUMENT", new sdk.InvalidAliasNameException(options)),
    row("ERR_INVALID_ARGUMENT", new sdk.LimitExceededException(options)),
    row("ERR_KEY_USAGE", new sdk.InvalidKeyUsageException(options)),
    row("ERR_UNSUPPORTED", new sdk.UnsupportedOperationException(options)),
  ],
  conflict: [
    row("ERR_CONFLICT", new sdk.AlreadyExistsException(options)),
    row("ERR_CONFLICT", new sdk.ConflictException(options)),
  ],
  configuration: [row("ERR_CONFIG", new Error("Region is missing"))],
  unknown: [
    row("ERR_INTERNAL", unmodelled("NewName")),
    row("ERR_INTERNAL", new TypeError("hunter2")),
  ],
};

for (const [name, group] of Object.entries(rows)) {
  describe(`errors of the class "${name}"`, () => {
    test.each(group.map((each) => [labelOf(each.error), each] as const))("%s", async (_, each) => {
      const client = standIn({
        Decrypt: () => {
          throw each.error;
        },
      });
      const provider = createAwsKmsProvider({ client });
      const call = provider.decrypt({ keyId: KEY_ARN, ciphertext: new Uint8Array(100) });
      const error: CryptoError = await call.then(
        () => expect.fail("it worked"),
        (reason) => reason,
      );
      expect([error.code, error.retryable, isUnavailable(error)]).toEqual([
        each.code,
        each.retryable,
        each.unavailable,
      ]);
      expect(`${error.stack} ${error.message} ${JSON.stringify(error)}`).not.toContain("hunter2");
    });
  });
}

test("every row of the table of names is among them", () => {
  const tested = Object.values(rows).flatMap((group) => group.map(({ error }) => error.name));
  expect(Object.keys(ERRORS).filter((name) => !tested.includes(name))).toEqual([]);
});

test("trap 2a.9: retries follow the class, not the HTTP status 400 that throttling has too", async () => {
  const attempts = async (error: Error) => {
    let calls = 0;
    const client = standIn({
      Encrypt: () => {
        calls++;
        throw error;
      },
    });
    const retry = { retries: 2, baseDelayMs: 1 };
    const provider = createResilientProvider(createAwsKmsProvider({ client }), { retry });
    await expect(
      provider.encrypt({ keyId: KEY_ARN, plaintext: new Uint8Array(1) }),
    ).rejects.toThrow();
    return calls;
  };
  expect(await attempts(unmodelled("ThrottlingException"))).toBe(3);
  expect(await attempts(new sdk.KMSInternalException(options))).toBe(3);
  expect(await attempts(new sdk.LimitExceededException(options))).toBe(1);
  expect(await attempts(unmodelled("AccessDeniedException"))).toBe(1);
  // Once with the old credentials, once with fresh ones, and no more.
  expect(await attempts(unmodelled("ExpiredTokenException"))).toBe(2);
});

function labelOf(error: Error): string {
  const { code, $metadata } = error as { code?: string; $metadata?: { httpStatusCode?: number } };
  return [error.name, code, $metadata?.httpStatusCode].filter(Boolean).join(" ");
}
