import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";
import { type CryptoProvider, concat, isCryptoError, toBase64, utf8 } from "@lango/crypto-core";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { frame, takePurpose, unframe } from "../src/ciphertext.ts";
import type { AzureCallOptions, AzureCredential, AzureKvClient } from "../src/index.ts";
import { createAzureKvProvider, provider as providerModule } from "../src/index.ts";
import { createKeyCache } from "../src/key-cache.ts";
import { parseKeyId } from "../src/key-id.ts";
import type { KeyVersion } from "../src/keys.ts";
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
afterEach(() => standIn.calm());
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

test("an answer without its value is no success", async () => {
  const client: AzureKvClient = {
    keys: {
      getKey: async () => ({
        id: `https://a.managedhsm.azure.net/keys/k/${VERSION}`,
        name: "k",
        key: { crv: "P-256" },
        keyType: "EC-HSM",
        properties: { name: "k" },
      }),
      getRandomBytes: async () => undefined,
    } as unknown as AzureKvClient["keys"],
    cryptography: () =>
      ({ verify: async () => ({}) }) as unknown as ReturnType<AzureKvClient["cryptography"]>,
  };
  const empty = createAzureKvProvider({ vaultUrl: "https://a.managedhsm.azure.net", client });
  const signature = new Uint8Array(64);
  expect(await empty.verify!({ keyId: "k", message, signature })).toBe(false);
  await expect(empty.random!({ bytes: 8 })).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
});

test("random bytes are zeroed where the SDK has them; too few are ERR_INTEGRITY", async () => {
  const given = [new Uint8Array(8).fill(1), new Uint8Array(7).fill(1)];
  const bytes = [...given];
  const client = {
    keys: { getRandomBytes: async () => bytes.shift() },
  } as unknown as AzureKvClient;
  const hsm = createAzureKvProvider({ vaultUrl: "https://a.managedhsm.azure.net", client });
  expect(await hsm.random!({ bytes: 8 })).toEqual(new Uint8Array(8).fill(1));
  expect(given[0]!.some(Boolean)).toBe(false);
  await expect(hsm.random!({ bytes: 8 })).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
});

test("what the SDK decrypted is zeroed once it is copied", () => {
  const decrypted = concat(Uint8Array.of(1), message);
  expect(takePurpose("encrypt", decrypted)).toEqual(message);
  expect(decrypted.some(Boolean)).toBe(false);
});

test("what was sent to be encrypted or wrapped is zeroed, also after a failure", async () => {
  const sent: Uint8Array[] = [];
  const kid = `https://a.vault.azure.net/keys/k/${VERSION}`;
  const client = {
    keys: {
      getKey: async () => ({
        id: kid,
        name: "k",
        key: { n: new Uint8Array(256).fill(255) },
        keyType: "RSA",
        properties: { name: "k" },
      }),
    },
    cryptography: () => ({
      encrypt: async ({ plaintext }: { plaintext: Uint8Array }) => {
        sent.push(plaintext);
        throw new Error("no");
      },
      wrapKey: async (_: string, key: Uint8Array, options: AzureCallOptions) => {
        sent.push(key);
        options.onResponse?.({ parsedBody: { kid } });
        return { result: new Uint8Array(256) };
      },
    }),
  } as unknown as AzureKvClient;
  const made = createAzureKvProvider({ vaultUrl: "https://a.vault.azure.net", client });
  await expect(made.encrypt({ keyId: "k", plaintext: message })).rejects.toBeDefined();
  await made.wrapKey!({ keyId: "k", key: message });
  expect(sent.map(({ length }) => length)).toEqual([17, 17]);
  expect(sent.some((bytes) => bytes.some(Boolean))).toBe(false);
});

test("a bare plaintext of another program is copied, and zeroed where the SDK has it", async () => {
  const decrypted = Uint8Array.from(message);
  const kid = `https://a.vault.azure.net/keys/k/${VERSION}`;
  const made = createAzureKvProvider({
    vaultUrl: "https://a.vault.azure.net",
    algorithm: "RSA-OAEP",
    client: {
      ...clientThat(async (options) => {
        options.onResponse?.({ parsedBody: { kid } });
        return { result: decrypted };
      }),
      keys: {
        getKey: async () => ({
          id: kid,
          name: "k",
          key: { n: new Uint8Array(256).fill(255) },
          keyType: "RSA",
          properties: { name: "k" },
        }),
      } as unknown as AzureKvClient["keys"],
    },
  });
  const opened = await made.decrypt({ keyId: "k", ciphertext: new Uint8Array(256) });
  expect(opened).toEqual(message);
  expect(decrypted.some(Boolean)).toBe(false);
});

test("a version that is none is a wrong ciphertext; a key that is none is not found", async () => {
  const ciphertext = frame(VERSION, new Uint8Array(256));
  const open = (keyId: string) => provider.decrypt({ keyId, ciphertext });
  await expect(open("data")).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
  await expect(open("nothing")).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
});

test("a key that was wrapped is no plaintext, nor the other way round, and is zeroed", () => {
  for (const [made, purpose] of [
    [2, "encrypt"],
    [1, "wrap"],
    [0, "wrap"],
  ] as const) {
    const decrypted = concat(Uint8Array.of(made), message);
    expect(() => takePurpose(purpose, decrypted)).toThrow(
      expect.objectContaining({ code: "ERR_DECRYPTION_FAILED" }),
    );
    expect(decrypted.some(Boolean)).toBe(false);
  }
});

test("a provider that is printed shows no credential", async () => {
  const credential = {
    secret: "S3cret",
    getToken: async () => ({ token: standIn.issueToken(), expiresOnTimestamp: Date.now() + 9e6 }),
  };
  const used = providerOf(standIn, { credential });
  await used.sign!({ keyId: "sign", message });
  expect(inspect(used, { depth: 9, showHidden: true })).not.toContain("S3cret");
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

  test("of 256 keys, the newest", async () => {
    const cache = createKeyCache(60_000);
    let reads = 0;
    const read = async (): Promise<KeyVersion> => {
      reads++;
      return {} as KeyVersion;
    };
    const use = (name: string) => cache.use({ name, version: undefined }, read, async () => {});
    for (let each = 0; each < 257; each++) await use(`k${each}`);
    await use("k1");
    expect(reads).toBe(257);
    await use("k0");
    expect(reads).toBe(258);
  });

  test("calls at one time share one look at the key, which the abort of one of them does not end", async () => {
    const looksDuring = async (work: () => Promise<unknown>): Promise<number> => {
      const before = standIn.requests.length;
      await work();
      return standIn.requests.slice(before).filter(({ method }) => method === "GET").length;
    };
    const one = await looksDuring(() => providerOf(standIn).sign!({ keyId: "sign", message }));
    const cold = providerOf(standIn);
    const gone = new AbortController();
    const many = await looksDuring(async () => {
      const first = cold.sign!({ keyId: "sign", message, signal: gone.signal });
      const others = Array.from({ length: 20 }, () => cold.sign!({ keyId: "sign", message }));
      gone.abort(new Error("the first one left"));
      await expect(first).rejects.toThrow("the first one left");
      await Promise.all(others);
    });
    expect(many).toBe(one);
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
