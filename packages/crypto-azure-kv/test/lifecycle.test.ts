import { setImmediate as nextTurn } from "node:timers/promises";
import { type CryptoProvider, concat, isCryptoError, toBase64, utf8 } from "@lango/crypto-core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frame, takePurpose, unframe } from "../src/ciphertext.ts";
import type { AzureCredential, AzureKvClient } from "../src/index.ts";
import { createAzureKvProvider, provider as providerModule } from "../src/index.ts";
import { parseKeyId } from "../src/key-id.ts";
import { parseVaultUrl } from "../src/vault-url.ts";
import { providerOf, standInHere } from "./set-up.ts";
import type { StandIn } from "./stand-in/server.ts";

let standIn: StandIn;
let provider: CryptoProvider;
const message = utf8("sixteen bytes ..");
const VERSION = "0123456789abcdef0123456789abcdef";

beforeAll(async () => {
  standIn = await standInHere();
  provider = providerOf(standIn);
  await provider.createKey!({ keyId: "data", algorithm: "rsa-2048", usage: "encryption" });
  await provider.createKey!({ keyId: "sign", algorithm: "ecdsa-p256", usage: "signing" });
});
afterAll(() => standIn.stop());

describe("abort", () => {
  const abortSoon = async (run: (signal: AbortSignal) => Promise<unknown>): Promise<unknown> => {
    const controller = new AbortController();
    const call = run(controller.signal).catch((error: unknown) => error);
    setTimeout(() => controller.abort(reason), 20);
    return await call;
  };
  const reason = new Error("the caller went away");

  test("while a token is fetched that never comes", async () => {
    const credential: AzureCredential = { getToken: () => new Promise(() => {}) };
    const waiting = providerOf(standIn, { credential });
    expect(await abortSoon((signal) => waiting.sign!({ keyId: "sign", message, signal }))).toBe(
      reason,
    );
    expect(await abortSoon((signal) => waiting.health({ signal }))).toBe(reason);
  });

  test("while the service takes its time", async () => {
    const slow = providerOf(standIn);
    await slow.sign!({ keyId: "sign", message });
    standIn.inject({ path: /\/sign$/, delayMs: 1000 });
    expect(await abortSoon((signal) => slow.sign!({ keyId: "sign", message, signal }))).toBe(
      reason,
    );
  });

  test("in the middle of a list", async () => {
    const controller = new AbortController();
    const listed: string[] = [];
    const list = async () => {
      for await (const key of provider.listKeys!({ signal: controller.signal })) {
        listed.push(key.keyId);
        controller.abort(reason);
      }
    };
    await expect(list()).rejects.toBe(reason);
    expect(listed).toHaveLength(1);
  });

  // Our copy of it is zeroed by raceSignal, which core tests.
  test("a plaintext that comes late is zeroed", async () => {
    let answer: ((result: { result: Uint8Array }) => void) | undefined;
    const late = createAzureKvProvider({
      vaultUrl: "https://a.vault.azure.net",
      client: clientThat((options) => {
        options.onResponse?.({
          parsedBody: { kid: `https://a.vault.azure.net/keys/k/${VERSION}` },
        });
        return new Promise((resolve) => {
          answer = resolve;
        });
      }),
    });
    const controller = new AbortController();
    const ciphertext = frame(VERSION, new Uint8Array(256));
    const call = late.decrypt({ keyId: "k", ciphertext, signal: controller.signal });
    await nextTurn();
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    const secret = concat(Uint8Array.of(1), message);
    answer!({ result: secret });
    await nextTurn();
    expect([...secret].some(Boolean)).toBe(false);
  });
});

/** A client of the SDK's form whose `decrypt` is given. */
const clientThat = (
  decrypt: (
    options: Parameters<ReturnType<AzureKvClient["cryptography"]>["decrypt"]>[1],
  ) => Promise<{ result: Uint8Array }>,
): AzureKvClient => ({
  keys: {} as AzureKvClient["keys"],
  cryptography: () =>
    ({ decrypt: (_: unknown, options: object) => decrypt(options) }) as ReturnType<
      AzureKvClient["cryptography"]
    >,
});

test("a plaintext that another key gave is zeroed, and refused", async () => {
  const secret = concat(Uint8Array.of(1), message);
  const wrong = createAzureKvProvider({
    vaultUrl: "https://a.vault.azure.net",
    client: clientThat(async (options) => {
      options.onResponse?.({ parsedBody: { kid: `https://b.vault.azure.net/keys/k/${VERSION}` } });
      return { result: secret };
    }),
  });
  const ciphertext = frame(VERSION, new Uint8Array(256));
  const call = wrong.decrypt({ keyId: "k", ciphertext });
  await expect(call).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
  expect(secret.some(Boolean)).toBe(false);
});

test("what the SDK decrypted is zeroed once it is copied", () => {
  const decrypted = concat(Uint8Array.of(1), message);
  expect(takePurpose("encrypt", decrypted)).toEqual(message);
  expect(decrypted.some(Boolean)).toBe(false);
});

describe("what is remembered of a key", () => {
  test("one read for many calls; keyCacheMs: 0 reads each time; describeKey always reads", async () => {
    const reads = async (keyCacheMs: number | undefined) => {
      const one = providerOf(standIn, keyCacheMs === undefined ? {} : { keyCacheMs });
      await one.sign!({ keyId: "sign", message });
      const before = standIn.requests.length;
      for (let each = 0; each < 3; each++) await one.sign!({ keyId: "sign", message });
      const made = standIn.requests.slice(before).filter(({ method }) => method === "GET").length;
      await one.describeKey({ keyId: "sign" });
      expect(standIn.requests.at(-1)?.method).toBe("GET");
      return made;
    };
    expect(await reads(undefined)).toBe(0);
    expect(await reads(0)).toBe(3);
  });

  test("key_ops that were changed since are asked for again", async () => {
    await provider.createKey!({ keyId: "ops", algorithm: "rsa-2048", usage: "encryption" });
    const call = () => provider.encrypt({ keyId: "ops", plaintext: message });
    await call();
    standIn.store.update("ops", undefined, { key_ops: ["decrypt"] });
    await expect(call()).rejects.toMatchObject({ code: "ERR_KEY_USAGE" });
    standIn.store.update("ops", undefined, { key_ops: ["encrypt", "decrypt"] });
    expect((await call()).ciphertext.length).toBeGreaterThan(256);
  });
});

describe("createKey and rotateKey", () => {
  test("without a name one is made; versions are not for the caller to choose", async () => {
    const made = await provider.createKey!({ algorithm: "ecdsa-p256", usage: "signing" });
    expect(made.keyId).toMatch(/\/keys\/lango-[0-9a-f-]{36}$/);
    const keyId = `sign/${VERSION}`;
    const request = { keyId, algorithm: "ecdsa-p256", usage: "signing" } as const;
    await expect(provider.createKey!(request)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
    await expect(provider.rotateKey!({ keyId })).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
  });

  test("who may not read keys makes none, for nobody could tell whether the name is taken", async () => {
    const before = standIn.store.names().length;
    standIn.inject({
      path: /\/keys\/unread\//,
      answer: { status: 403, body: { error: { code: "Forbidden", message: "" } } },
    });
    const request = { keyId: "unread", algorithm: "ecdsa-p256", usage: "signing" } as const;
    await expect(provider.createKey!(request)).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED" });
    expect(standIn.store.names()).toHaveLength(before);
  });

  test("are never retried: the answer of a call that worked may have been lost", async () => {
    const { createResilientProvider } = await import("@lango/crypto-core");
    const resilient = createResilientProvider(providerOf(standIn));
    standIn.inject({ path: /\/rotate$/, answer: { status: 503, body: {} } });
    const before = standIn.requests.length;
    await expect(resilient.rotateKey!({ keyId: "sign" })).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
    });
    expect(
      standIn.requests.slice(before).filter(({ path }) => path.endsWith("/rotate")),
    ).toHaveLength(1);
  });
});

test("a list that breaks off half-way is an error, not a short list", async () => {
  for (const status of [401, 503]) {
    let pages = 0;
    const change = (body: object) => {
      pages++;
      return body;
    };
    standIn.inject({ path: /^\/keys$/, change });
    standIn.inject({ path: /^\/keys$/, answer: { status, body: {} } });
    const list = async () => {
      for await (const _ of provider.listKeys!({}));
    };
    const code = status === 401 ? "ERR_ACCESS_DENIED" : "ERR_UNAVAILABLE";
    await expect(list()).rejects.toMatchObject({ code });
    expect(pages).toBe(1);
  }
});

describe("health", () => {
  test("reads the configured key, or one page of the list", async () => {
    for (const [options, path] of [
      [{ keyId: "sign" }, "/keys/sign/"],
      [{ encryptKeyId: "data", signKeyId: "sign" }, "/keys/data/"],
      [{ signKeyId: "sign" }, "/keys/sign/"],
      [{}, "/keys"],
    ] as const) {
      const before = standIn.requests.length;
      expect(await providerOf(standIn, options).health({})).toMatchObject({ healthy: true });
      expect(standIn.requests.slice(before)).toMatchObject([{ method: "GET", path }]);
    }
  });

  test("a disabled key, and a refusal, are reasons", async () => {
    await provider.createKey!({ keyId: "off", algorithm: "ecdsa-p256", usage: "signing" });
    standIn.store.update("off", undefined, { attributes: { enabled: false } });
    expect(await provider.health({ keyId: "off" })).toMatchObject({
      healthy: false,
      reason: "The key is disabled",
    });
    standIn.inject({ path: /^\/keys$/, answer: { status: 403, body: {} } });
    const report = await provider.health({});
    expect(report).toMatchObject({ healthy: false, reason: expect.stringContaining("denied") });
  });
});

describe("the ciphertext's header", () => {
  test("is as documented", async () => {
    const { ciphertext, keyVersion } = await provider.encrypt({
      keyId: "data",
      plaintext: new Uint8Array(),
    });
    expect(Buffer.from(ciphertext.subarray(0, 38)).toString("latin1")).toBe(
      `LAK1\x01\x20${keyVersion}`,
    );
    expect(ciphertext).toHaveLength(6 + 32 + 256);
  });

  test("is taken off as it was put on; nothing else gets through", () => {
    const version = fc.stringMatching(/^[0-9A-Za-z]{1,64}$/);
    fc.assert(
      fc.property(version, fc.uint8Array({ maxLength: 600 }), (name, encrypted) => {
        const framed = frame(name, encrypted);
        const taken = unframe(framed);
        expect([taken.version, toBase64(taken.encrypted)]).toEqual([name, toBase64(encrypted)]);
      }),
    );
    const start = fc.constantFrom(
      new Uint8Array(),
      utf8("LAK1"),
      utf8("LAK1\u0001"),
      utf8("LAK1\u0001\u0020"),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 80 }), (head, rest) => {
        try {
          expect(unframe(concat(head, rest)).version).toMatch(/^[0-9A-Za-z]{1,64}$/);
        } catch (error) {
          expect(isCryptoError(error) && error.code).toBe("ERR_DECRYPTION_FAILED");
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("key ids: a name never leaves its place in the path", () => {
    const vault = parseVaultUrl("https://a.vault.azure.net");
    const prefix = fc.constantFrom(
      "",
      "https://a.vault.azure.net/keys/",
      "https://a.vault.azure.net:443/keys/",
    );
    fc.assert(
      fc.property(prefix, fc.string({ unit: "binary", maxLength: 20 }), (start, text) => {
        try {
          const { name, version = "v" } = parseKeyId(vault, start + text);
          expect(name).toMatch(/^[0-9A-Za-z-]{1,127}$/);
          expect(version).toMatch(/^[0-9A-Za-z]{1,64}$/);
        } catch (error) {
          expect(isCryptoError(error) && error.code).toMatch(
            /^ERR_(?:INVALID_ARGUMENT|KEY_NOT_FOUND)$/,
          );
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("configuration", () => {
  const { configSchema } = providerModule;
  test("takes its keys and makes a provider without a connection", async () => {
    const config = {
      vaultUrl: "https://a.vault.azure.net",
      algorithm: "RSA-OAEP-256",
      keyId: "a",
      encryptKeyId: "b/0123",
      signKeyId: "https://a.vault.azure.net/keys/c",
    };
    expect(configSchema.parse(config)).toEqual(config);
    const made = await providerModule.create(configSchema.parse(config), {});
    expect([providerModule.name, made.name]).toEqual(["azure-kv", "azure-kv"]);
    await made.close();
  });

  test.each([
    [{}, "vaultUrl is missing"],
    [null, "no object"],
    [[], "no object"],
    [{ vaultUrl: "https://a.vault.azure.net", region: "x" }, "region is not known"],
    [{ vaultUrl: "https://a.vault.azure.net", allowLoopback: true }, "allowLoopback is not known"],
    [{ vaultUrl: "https://a.vault.azure.net", credential: {} }, "credential is not known"],
    [{ vaultUrl: "https://a.vault.azure.net", keyId: "" }, "keyId is no text"],
    [{ vaultUrl: 1, keyId: 2 }, "vaultUrl is no text; keyId is no text"],
    [{ vaultUrl: "https://a.vault.azure.net", algorithm: "A256GCM" }, "algorithm is neither"],
  ])("%j: %s", (input, fault) => {
    expect(() => configSchema.parse(input)).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", message: expect.stringContaining(fault) }),
    );
  });
});
