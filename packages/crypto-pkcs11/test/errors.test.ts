import { type ERROR_CODES, isUnavailable } from "@lango/crypto-core";
import { expect, test } from "vitest";
import { BAD_CIPHERTEXT, FAILURE_CLASSES, type FailureClass, toError } from "../src/errors.ts";

const EXPECTED: Record<FailureClass, keyof typeof ERROR_CODES> = {
  throttled: "ERR_RATE_LIMITED",
  unavailable: "ERR_UNAVAILABLE",
  hung: "ERR_TIMEOUT",
  "session lost": "ERR_UNAVAILABLE",
  unclear: "ERR_INTERNAL",
  denied: "ERR_ACCESS_DENIED",
  "key usage": "ERR_KEY_USAGE",
  "not found": "ERR_KEY_NOT_FOUND",
  conflict: "ERR_CONFLICT",
  "bad argument": "ERR_INVALID_ARGUMENT",
  unsupported: "ERR_UNSUPPORTED",
  configuration: "ERR_CONFIG",
  "not installed": "ERR_PROVIDER_NOT_INSTALLED",
  internal: "ERR_INTERNAL",
};

test.each(Object.entries(FAILURE_CLASSES))("%s is %s", (name, failed) => {
  const error = toError({ name, method: "C_Sign" }, { operation: "sign", keyId: "k" });
  expect(error).toMatchObject({
    code: EXPECTED[failed],
    context: { provider: "pkcs11", operation: "sign", keyId: "k" },
    retryable: ["throttled", "unavailable", "hung", "session lost"].includes(failed),
  });
  expect(isUnavailable(error)).toBe(["unavailable", "hung", "session lost"].includes(failed));
});

test.each([...BAD_CIPHERTEXT])("%s on decrypt and unwrapKey is a failed decryption", (name) => {
  for (const operation of ["decrypt", "unwrapKey"]) {
    expect(toError({ name }, { operation }).code).toBe("ERR_DECRYPTION_FAILED");
    const failure = { name, method: "C_DecryptInit" };
    expect(toError(failure, { operation }).code).toBe("ERR_DECRYPTION_FAILED");
  }
  expect(toError({ name }, { operation: "sign" }).code).not.toBe("ERR_DECRYPTION_FAILED");
  // On the way there it says nothing about the ciphertext.
  for (const method of ["C_Login", "C_OpenSession", "C_FindObjectsInit"]) {
    const { code } = toError({ name, method }, { operation: "decrypt" });
    expect(code).not.toBe("ERR_DECRYPTION_FAILED");
  }
});

test("a number of a vendor is ERR_INTERNAL, and named", () => {
  const error = toError({ name: "CKR_0x80000001" }, { operation: "sign" });
  expect(error.code).toBe("ERR_INTERNAL");
  expect(error.message).toContain("CKR_0x80000001");
});
