import type { CryptoClient, CryptoProvider, Operation } from "@lango/crypto-core";
import { expect, test } from "vitest";
import { CHECKS, type CheckResult, type Harness, runChecks } from "../src/index.ts";
import { createContext, runCheck } from "../src/run.ts";
import { createReference } from "./reference-provider.ts";

/** A provider that offers the given operations and nothing more, with the keys for them. */
function smaller(operations: readonly Operation[]): Harness {
  const { provider, keys } = createReference();
  const has = (operation: Operation) => operations.includes(operation);
  const capabilities = {
    ...provider.capabilities,
    operations,
    keyAlgorithms: [],
    macAlgorithms: [],
    signatureAlgorithms: has("sign") ? (["ed25519"] as const) : [],
    aad: false,
    wrapAad: false,
    signDigest: false,
  };
  return {
    provider: { ...provider, capabilities },
    keys: {
      missing: keys.missing,
      disabled: { impossible: "this service has no disabled keys" },
      ...(has("encrypt") && { aead: keys.aead }),
      ...(has("sign") && { signing: { ed25519: "ed25519" } }),
    } as Harness["keys"],
  };
}

test.each([
  [["encrypt", "decrypt", "describeKey", "health"]],
  [["wrapKey", "unwrapKey", "encrypt", "decrypt", "describeKey", "health"]],
  [["sign", "getPublicKey", "describeKey", "health"]],
] as Operation[][][])(
  "what is not offered must be refused, and is not skipped: %s",
  async (operations) => {
    const { results, ok } = await runChecks(smaller(operations));
    expect(results.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    expect(ok).toBe(true);
    expect(results.map(({ name }) => name)).toEqual(CHECKS.map(({ name }) => name));
    const outcomes = new Set(results.map(({ outcome }) => outcome));
    expect(outcomes).toEqual(new Set(["passed", "refused"]));
  },
);

test("a client that lets through what is not offered fails the check", async () => {
  const harness = smaller(["encrypt", "decrypt", "describeKey", "health"]);
  const context = createContext(harness, undefined);
  const client: CryptoClient = { ...context.client, ...harness.provider };
  const open = { ...context, client };
  for (const check of CHECKS) {
    const refusal = check.needs.some((need) => need === "aad" || need === "wrapKey");
    if (refusal) await expect(runCheck(check, open), check.name).rejects.toThrow("not offer");
  }
});

test("without separateWrap, a service that has one operation for both passes", async () => {
  const reference = createReference();
  const honest = reference.provider as Required<CryptoProvider>;
  const provider: CryptoProvider = {
    ...honest,
    wrapKey: async ({ key, ...request }) => {
      const { ciphertext, ...used } = await honest.encrypt({ ...request, plaintext: key });
      return { wrappedKey: ciphertext, ...used };
    },
    unwrapKey: ({ wrappedKey, ...request }) =>
      honest.decrypt({ ...request, ciphertext: wrappedKey }),
  };
  const checks = CHECKS.filter(({ name }) => name.startsWith("unwrapKey: does not open"));
  const shared = await runChecks({ ...reference, provider, separateWrap: false }, { checks });
  expect(shared.ok).toBe(true);
  const { keys } = createReference();
  const separate = await runChecks(
    { keys, provider: createReference().provider, separateWrap: false },
    { checks },
  );
  expect(separate.ok).toBe(false);
});

test("a key that a live provider lacks is named, and fails no check", async () => {
  const { provider } = createReference();
  const seen: CheckResult[] = [];
  const { results, ok, openssl } = await runChecks(
    { provider, keys: { missing: "missing" } },
    { onResult: (result) => seen.push(result) },
  );
  expect(ok).toBe(true);
  expect(seen).toEqual(results);
  const skipped = results.filter(({ outcome }) => outcome === "not-applicable");
  expect(new Set(skipped.map(({ reason }) => reason))).toContain("needs two keys for encryption");
  expect(openssl === undefined || openssl.startsWith("OpenSSL ")).toBe(true);
});

test("the same lack fails the tests of a provider", async () => {
  const { provider } = createReference();
  const context = createContext({ provider, keys: { missing: "missing" } }, undefined);
  await expect(runCheck(CHECKS[0]!, context)).rejects.toThrow("lacks two keys for encryption");
});

test("a failed check is reported with its error, and the others still run", async () => {
  const harness = createReference();
  const provider = { ...harness.provider, name: "No Name" };
  const { results, ok } = await runChecks({ ...harness, provider, everyByte: false });
  expect(ok).toBe(false);
  const failed = results.filter(({ outcome }) => outcome === "failed");
  expect(failed.map(({ name }) => name)).toEqual([
    "capabilities: name, operations and limits fit together",
  ]);
  expect(failed[0]?.error).toBeInstanceOf(Error);
  expect(results).toHaveLength(CHECKS.length);
});
