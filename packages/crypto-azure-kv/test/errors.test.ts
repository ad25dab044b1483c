import {
  AggregateAuthenticationError,
  AuthenticationError,
  AuthenticationRequiredError,
  CredentialUnavailableError,
} from "@azure/identity";
import {
  type CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
  createResilientProvider,
  isUnavailable,
} from "@lango/crypto-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { INNER_CODES, NAMES, STATUSES } from "../src/errors.ts";
import type { AzureCredential } from "../src/index.ts";
import { credentialOf, providerOf, standInHere } from "./set-up.ts";
import type { Fault, StandIn } from "./stand-in/server.ts";

let standIn: StandIn;
let provider: CryptoProvider;
const message = new Uint8Array(16).fill(7);

beforeAll(async () => {
  standIn = await standInHere();
  provider = providerOf(standIn);
  await provider.createKey!({ keyId: "sign", algorithm: "ecdsa-p256", usage: "signing" });
  await provider.createKey!({ keyId: "data", algorithm: "rsa-2048", usage: "encryption" });
});
afterEach(() => standIn.calm());
afterAll(() => standIn.stop());

const failureOf = async (call: Promise<unknown>): Promise<CryptoError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason as CryptoError,
  );
  expect(error, "the call succeeded").toBeDefined();
  return error!;
};
const body = (code: string, inner?: string, text = "Something that the service says.") => ({
  error: { code, message: text, ...(inner !== undefined && { innererror: { code: inner } }) },
});
const answer = (status: number, code: string, inner?: string, text?: string): Fault => ({
  path: /\/sign$/,
  answer: { status, body: body(code, inner, text) },
});

/** Every row of the tables, made by the SDK itself from an answer on the wire: status, codes → our code. */
const rows: readonly [string, Fault, CryptoErrorCode][] = [
  ["400", answer(400, "BadParameter"), "ERR_INVALID_ARGUMENT"],
  ["403", answer(403, "Forbidden"), "ERR_ACCESS_DENIED"],
  ["404", answer(404, "KeyNotFound"), "ERR_KEY_NOT_FOUND"],
  ["408", answer(408, "RequestTimeout"), "ERR_UNAVAILABLE"],
  ["409", answer(409, "Conflict", "ObjectIsDeletedButRecoverable"), "ERR_CONFLICT"],
  ["413", answer(413, "RequestTooLarge"), "ERR_INVALID_ARGUMENT"],
  ["429", answer(429, "Throttled"), "ERR_RATE_LIMITED"],
  ["500", answer(500, "InternalServerError"), "ERR_UNAVAILABLE"],
  [
    "502 of a proxy, no JSON",
    { ...answer(502, ""), answer: { status: 502, body: "<html>" } },
    "ERR_UNAVAILABLE",
  ],
  ["503", answer(503, "ServiceUnavailable"), "ERR_UNAVAILABLE"],
  ["504", answer(504, "GatewayTimeout"), "ERR_UNAVAILABLE"],
  ["a broken connection", { path: /\/sign$/, answer: "reset" }, "ERR_UNAVAILABLE"],
  ["KeyDisabled", answer(403, "Forbidden", "KeyDisabled"), "ERR_KEY_DISABLED"],
  ["KeyExpired", answer(403, "Forbidden", "KeyExpired"), "ERR_KEY_DISABLED"],
  ["KeyNotYetValid", answer(403, "Forbidden", "KeyNotYetValid"), "ERR_KEY_DISABLED"],
  ["KeyOperationForbidden", answer(403, "Forbidden", "KeyOperationForbidden"), "ERR_KEY_USAGE"],
  ["ForbiddenByFirewall", answer(403, "Forbidden", "ForbiddenByFirewall"), "ERR_ACCESS_DENIED"],
  ["ForbiddenByConnection", answer(403, "Forbidden", "ForbiddenByConnection"), "ERR_ACCESS_DENIED"],
  ["ForbiddenByPolicy", answer(403, "Forbidden", "ForbiddenByPolicy"), "ERR_ACCESS_DENIED"],
  ["ForbiddenByRbac", answer(403, "Forbidden", "ForbiddenByRbac"), "ERR_ACCESS_DENIED"],
  ["AccessDenied", answer(403, "Forbidden", "AccessDenied"), "ERR_ACCESS_DENIED"],
  [
    "a disabled key, in words",
    answer(403, "Forbidden", undefined, "Operation sign is not allowed on a disabled key."),
    "ERR_KEY_DISABLED",
  ],
  [
    "an expired key, in words",
    answer(403, "Forbidden", undefined, "Operation sign is not allowed on an expired key."),
    "ERR_KEY_DISABLED",
  ],
  [
    "a key not yet valid, in words",
    answer(
      403,
      "Forbidden",
      undefined,
      "Operation sign is not allowed on a key that is not yet valid.",
    ),
    "ERR_KEY_DISABLED",
  ],
  [
    "key_ops, in words",
    answer(403, "Forbidden", undefined, "Operation sign is not permitted on this key."),
    "ERR_KEY_USAGE",
  ],
  ["a status that nothing is known of", answer(418, "Teapot"), "ERR_INTERNAL"],
];

test.each(rows)("trap 2c.10: %s", async (_, fault, code) => {
  // No second try with fresh facts about the key: the answer itself is what is looked at.
  const fresh = providerOf(standIn);
  standIn.inject(fault);
  const error = await failureOf(fresh.sign!({ keyId: "sign", message }));
  expect(error.code).toBe(code);
  expect(error.context).toMatchObject({ provider: "azure-kv", operation: "sign" });
  expect(error.message).not.toContain("Something that the service says");
  await fresh.close();
});

test("every row of the tables is among them", () => {
  const tried = rows.map(([name]) => name);
  for (const name of [...Object.keys(INNER_CODES), ...Object.keys(STATUSES)]) {
    if (name !== "401") expect(tried).toContain(name);
  }
});

describe("the classes of errors: what is retried, what opens the breaker or lets a fallback in", () => {
  // Row of the table of error classes, an answer, code, attempts under `createResilientProvider`, breaker and failover.
  const classes: readonly [string, Fault, CryptoErrorCode, number, boolean][] = [
    ["throttled", answer(429, "Throttled"), "ERR_RATE_LIMITED", 4, false],
    ["unavailable: 5xx", answer(503, "ServiceUnavailable"), "ERR_UNAVAILABLE", 4, true],
    ["unavailable: network", { path: /\/sign$/, answer: "reset" }, "ERR_UNAVAILABLE", 4, true],
    ["unavailable: no answer in time", { path: /\/sign$/, delayMs: 3000 }, "ERR_TIMEOUT", 1, true],
    ["denied", answer(403, "Forbidden", "ForbiddenByRbac"), "ERR_ACCESS_DENIED", 1, false],
    ["key state", answer(403, "Forbidden", "KeyExpired"), "ERR_KEY_DISABLED", 1, false],
    ["not found", answer(404, "KeyNotFound"), "ERR_KEY_NOT_FOUND", 1, false],
    ["bad argument", answer(400, "BadParameter"), "ERR_INVALID_ARGUMENT", 1, false],
  ];
  test.each(classes)("%s", async (_, fault, code, attempts, unavailable) => {
    const resilient = createResilientProvider(providerOf(standIn), {
      retry: { baseDelayMs: 1 },
      deadline: { timeoutMs: fault.delayMs === undefined ? 20_000 : 1500 },
    });
    standIn.inject({ ...fault, times: attempts });
    const before = standIn.requests.length;
    const error = await failureOf(resilient.sign!({ keyId: "sign", message }));
    expect([error.code, isUnavailable(error)]).toEqual([code, unavailable]);
    const signed = standIn.requests.slice(before).filter(({ path }) => path.endsWith("/sign"));
    expect(signed).toHaveLength(attempts);
    await resilient.close();
  });

  test("bad ciphertext: 400 on decrypt and unwrapKey is the one error, and never retried", async () => {
    const resilient = createResilientProvider(providerOf(standIn), { retry: { baseDelayMs: 1 } });
    const { ciphertext } = await provider.encrypt({ keyId: "data", plaintext: message });
    const { wrappedKey } = await provider.wrapKey!({ keyId: "data", key: message });
    ciphertext[ciphertext.length - 1]! ^= 1;
    wrappedKey[wrappedKey.length - 1]! ^= 1;
    const before = standIn.requests.length;
    const decrypt = await failureOf(resilient.decrypt({ keyId: "data", ciphertext }));
    const unwrap = await failureOf(resilient.unwrapKey!({ keyId: "data", wrappedKey }));
    expect(decrypt.code).toBe("ERR_DECRYPTION_FAILED");
    expect(unwrap.message).toBe(decrypt.message);
    expect(isUnavailable(decrypt)).toBe(false);
    expect(standIn.requests.slice(before)).toHaveLength(2);
  });
});

describe("session lost: 401", () => {
  test("once more with a fresh token", async () => {
    const other = await standInHere();
    let asked = 0;
    const credential: AzureCredential = {
      async getToken() {
        asked++;
        return { token: other.issueToken(), expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    };
    const renewing = providerOf(other, { credential });
    await renewing.createKey!({ keyId: "sign", algorithm: "ecdsa-p256", usage: "signing" });
    await renewing.sign!({ keyId: "sign", message });
    const before = asked;
    other.revokeTokens();
    await renewing.sign!({ keyId: "sign", message });
    expect(asked).toBeGreaterThan(before);
    await other.stop();
  });

  test("a token that stays refused is ERR_ACCESS_DENIED, and not unavailable", async () => {
    const credential: AzureCredential = {
      getToken: async () => ({ token: "old", expiresOnTimestamp: Date.now() + 3_600_000 }),
    };
    const refused = providerOf(standIn, { credential });
    const error = await failureOf(refused.sign!({ keyId: "sign", message }));
    expect([error.code, isUnavailable(error)]).toEqual(["ERR_ACCESS_DENIED", false]);
    expect(error.message).toContain("401");
  });
});

describe("credentials", () => {
  const failing = (error: Error): AzureCredential => ({ getToken: () => Promise.reject(error) });
  const unavailable = new CredentialUnavailableError("no credential");
  const cases: readonly [string, Error, CryptoErrorCode][] = [
    ["CredentialUnavailableError", unavailable, "ERR_ACCESS_DENIED"],
    [
      "AuthenticationRequiredError",
      new AuthenticationRequiredError({ scopes: [] }),
      "ERR_ACCESS_DENIED",
    ],
    ["AuthenticationError", new AuthenticationError(401, "{}"), "ERR_ACCESS_DENIED"],
    [
      "AggregateAuthenticationError",
      new AggregateAuthenticationError([unavailable, new AuthenticationError(400, "{}")]),
      "ERR_ACCESS_DENIED",
    ],
    ["AuthenticationError 503", new AuthenticationError(503, "{}"), "ERR_UNAVAILABLE"],
    ["AuthenticationError 429", new AuthenticationError(429, "{}"), "ERR_RATE_LIMITED"],
    [
      "a chain whose last one was not reached",
      new AggregateAuthenticationError([unavailable, new AuthenticationError(500, "{}")]),
      "ERR_UNAVAILABLE",
    ],
    [
      "a name that cannot be looked up",
      Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND" }),
      "ERR_UNAVAILABLE",
    ],
    ["a credential with a bug", new TypeError("undefined is no token"), "ERR_INTERNAL"],
  ];
  test.each(cases)("%s", async (_, thrown, code) => {
    const broken = providerOf(standIn, { credential: failing(thrown) });
    const error = await failureOf(broken.sign!({ keyId: "sign", message }));
    expect(error.code).toBe(code);
  });
  test("every name of the table is among them", () => {
    const tried = cases.map(([name]) => name);
    // RestError without a status is the broken connection above.
    expect(tried).toEqual(
      expect.arrayContaining(Object.keys(NAMES).filter((name) => name !== "RestError")),
    );
  });

  test("a chain in which nothing is set up says how to sign in", async () => {
    const thrown = new AggregateAuthenticationError([unavailable, unavailable]);
    const error = await failureOf(
      providerOf(standIn, { credential: failing(thrown) }).sign!({ keyId: "sign", message }),
    );
    expect(error.context.hint).toContain("az login");
  });

  test("the real credential of @azure/identity: a wrong secret is ERR_ACCESS_DENIED and is not quoted", async () => {
    const credential = credentialOf(standIn, "wrong-secret-0123456789");
    const error = await failureOf(
      providerOf(standIn, { credential }).sign!({ keyId: "sign", message }),
    );
    expect(error.code).toBe("ERR_ACCESS_DENIED");
    expect(JSON.stringify([error.message, error.context])).not.toContain("wrong-secret");
  });

  test("no server at the token endpoint is ERR_UNAVAILABLE", async () => {
    const gone = await standInHere();
    const credential = credentialOf(gone);
    await gone.stop();
    const error = await failureOf(
      providerOf(standIn, { credential }).sign!({ keyId: "sign", message }),
    );
    expect(error.code).toBe("ERR_UNAVAILABLE");
  });
});

test("no server at the vault is ERR_UNAVAILABLE; health says so and does not reject", async () => {
  const gone = await standInHere();
  const unreachable = providerOf(gone, { keyId: "sign" });
  await gone.stop();
  expect((await failureOf(unreachable.sign!({ keyId: "sign", message }))).code).toBe(
    "ERR_UNAVAILABLE",
  );
  expect(await unreachable.health({})).toMatchObject({ healthy: false });
});

test("a certificate that is not trusted is no outage to wait for", async () => {
  const untrusting = providerOf(standIn, { pipeline: {} });
  const error = await failureOf(untrusting.sign!({ keyId: "sign", message }));
  expect([error.code, error.retryable]).toEqual(["ERR_UNAVAILABLE", false]);
  expect(error.context.hint).toContain("NODE_EXTRA_CA_CERTS");
});

test("trap 2c.9: 429 is one request, and Retry-After is in the hint", async () => {
  standIn.inject({
    path: /\/sign$/,
    answer: { status: 429, headers: { "Retry-After": "7" }, body: body("Throttled") },
  });
  const before = standIn.requests.filter(({ path }) => path.endsWith("/sign")).length;
  const error = await failureOf(provider.sign!({ keyId: "sign", message }));
  expect([error.code, error.context.hint]).toEqual([
    "ERR_RATE_LIMITED",
    "The service asks to wait 7 seconds",
  ]);
  expect(standIn.requests.filter(({ path }) => path.endsWith("/sign")).length).toBe(before + 1);
});

test.each([
  ["another key", (kid: string) => kid.replace("/keys/sign/", "/keys/other/")],
  ["another version", (kid: string) => kid.slice(0, -1) + (kid.endsWith("0") ? "1" : "0")],
  ["no key", () => undefined],
])("an answer of %s is ERR_INTEGRITY", async (_, change) => {
  standIn.inject({
    path: /\/sign$/,
    change: (real) => ({ ...real, kid: change(String(real["kid"])) }),
  });
  const error = await failureOf(provider.sign!({ keyId: "sign", message }));
  expect(error.code).toBe("ERR_INTEGRITY");
});

test("an answer without a value is ERR_INTEGRITY, not an empty plaintext", async () => {
  const { ciphertext } = await provider.encrypt({ keyId: "data", plaintext: message });
  standIn.inject({ path: /\/decrypt$/, change: ({ kid }) => ({ kid }) });
  const error = await failureOf(provider.decrypt({ keyId: "data", ciphertext }));
  expect(error.code).toBe("ERR_INTEGRITY");
});

test("a redirect is not followed", async () => {
  standIn.inject({
    path: /\/sign$/,
    answer: { status: 307, headers: { Location: `${standIn.url}/keys/sign` } },
  });
  const before = standIn.requests.length;
  await failureOf(provider.sign!({ keyId: "sign", message }));
  expect(standIn.requests).toHaveLength(before + 1);
});
