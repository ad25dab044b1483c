import { generateKeyPairSync } from "node:crypto";
import type { Channel } from "@lango/companion";
import {
  CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
  createComposite,
  createCryptoClient,
  createResilientProvider,
  type SignatureAlgorithm,
  toPlain,
} from "@lango/crypto-core";
import { createLocalProvider, generateKeyMaterial } from "@lango/crypto-local";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createRpcProvider, type RpcOptions } from "../src/index.ts";
import { type ScriptedChannel, type Sent, scriptedChannel } from "./support/scripted-channel.ts";

afterEach(() => {
  vi.useRealTimers();
});

const digest = new Uint8Array(32);
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = toPlain(p256.publicKey.export({ type: "spki", format: "der" }));
const used = { keyId: "k", keyVersion: "1" };
const signed = { ...used, signature: new Uint8Array(64), algorithm: "ecdsa-p256-sha256" };
const sealed = { ...used, ciphertext: new Uint8Array(8) };

/** A provider over channels that a test scripts: one after the other, as they break. */
const over = (
  answers: readonly ((sent: Sent) => unknown)[],
  { random = () => 0, ...options }: RpcOptions = {},
) => {
  const sent: Sent[] = [];
  const channels: ScriptedChannel[] = [];
  let current: ScriptedChannel | undefined;
  const connect = async (): Promise<Channel> => {
    if (current !== undefined) return current;
    const answer = answers[channels.length];
    if (answer === undefined) throw new CryptoError("ERR_UNAVAILABLE", "nobody there");
    const made = scriptedChannel((request) => {
      sent.push(request);
      return answer(request);
    });
    channels.push(made);
    current = made;
    made.closed.then(() => {
      if (current === made) current = undefined;
    });
    return made;
  };
  const provider = createRpcProvider({
    ...options,
    random,
    link: { channel: connect, close: async () => current?.drop() },
  });
  return { provider: provider as Required<CryptoProvider>, sent, channels };
};

const failing =
  (code: CryptoErrorCode, message = "as it is") =>
  (): never => {
    throw new CryptoError(code, message);
  };

describe("requests whose connection breaks", () => {
  const breaks = (): Promise<never> => new Promise(() => {});

  test("are repeated with the id of the first attempt, at most three times", async () => {
    const { provider, sent, channels } = over([breaks, breaks, breaks, () => signed]);
    const call = provider.sign({ keyId: "k", digest, algorithm: "ecdsa-p256-sha256" });
    for (const index of [0, 1, 2]) {
      await vi.waitFor(() => expect(sent).toHaveLength(index + 1));
      channels[index]!.drop();
    }
    expect((await call).signature).toEqual(signed.signature);
    expect(sent).toHaveLength(4);
    const ids = new Set(sent.map(({ options }) => options.id));
    expect(ids.size).toBe(1);
    expect([...ids][0]).toMatch(/^[\w-]{22}$/);
  });

  test("end with the error of the connection when it goes on breaking", async () => {
    const { provider, sent, channels } = over([breaks, breaks, breaks, breaks, () => sealed]);
    const call = provider.encrypt({ keyId: "k", plaintext: digest }).catch((error) => error);
    for (const index of [0, 1, 2, 3]) {
      await vi.waitFor(() => expect(sent).toHaveLength(index + 1));
      channels[index]!.drop();
    }
    expect(await call).toMatchObject({ code: "ERR_UNAVAILABLE", retryable: true });
    expect(sent).toHaveLength(4);
  });

  test("end with it too when the companion does not come back", async () => {
    const { provider, sent, channels } = over([breaks]);
    const call = provider.encrypt({ keyId: "k", plaintext: digest }).catch((error) => error);
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    channels[0]!.drop();
    expect(await call).toMatchObject({ code: "ERR_UNAVAILABLE", message: "nobody there" });
  });

  test("are not repeated when the time is over before the pause is", async () => {
    const { provider, sent, channels } = over([breaks, () => sealed], {
      random: () => 0.99,
      timeoutMs: 50,
    });
    const call = provider.encrypt({ keyId: "k", plaintext: digest }).catch((error) => error);
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    channels[0]!.drop();
    expect(await call).toMatchObject({ code: "ERR_UNAVAILABLE" });
    expect(sent).toHaveLength(1);
  });

  test("are not repeated when the device was revoked, nor when there never was a connection", async () => {
    const revoked = scriptedChannel(() => {
      process.nextTick(() => revoked.drop());
      throw new CryptoError("ERR_ACCESS_DENIED", "revoked");
    });
    const dial = vi.fn(async () => revoked);
    const gone = createRpcProvider({ link: { channel: dial, close: async () => undefined } });
    const asked = gone.encrypt?.({ keyId: "k", plaintext: digest });
    await expect(asked).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED" });
    expect(dial).toHaveBeenCalledTimes(1);
    const channel = vi.fn(failing("ERR_UNAVAILABLE"));
    const nobody = createRpcProvider({
      link: { channel: async () => channel(), close: async () => undefined },
    });
    const call = nobody.encrypt?.({ keyId: "k", plaintext: digest });
    await expect(call).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    expect(channel).toHaveBeenCalledTimes(1);
  });

  test("reject with the very reason of an abort, also when it is an error of ours", async () => {
    const reason = new CryptoError("ERR_DENIED", "stopped");
    const { provider } = over([({ options }) => Promise.reject(options.signal?.reason)]);
    const controller = new AbortController();
    const call = provider.encrypt({ keyId: "k", plaintext: digest, signal: controller.signal });
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
  });

  test("end with the abort of their caller", async () => {
    const { provider, sent } = over([breaks, () => sealed]);
    const controller = new AbortController();
    const call = provider.encrypt({ keyId: "k", plaintext: digest, signal: controller.signal });
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    // The channel's own part is to reject; the client would not wait for it.
    controller.abort("enough");
    const outcome = Promise.race([
      call,
      new Promise((resolve) => setTimeout(resolve, 20, "waits")),
    ]);
    expect(await outcome).toBe("waits");
    expect(sent[0]!.options.signal).toBe(controller.signal);
  });

  test("what was never sent fails at once", async () => {
    const { provider, sent } = over([]);
    const call = provider.encrypt({ keyId: "k", plaintext: digest });
    await expect(call).rejects.toMatchObject({ code: "ERR_UNAVAILABLE", retryable: true });
    expect(sent).toEqual([]);
  });
});

test.each([
  ...(["ERR_UNAVAILABLE", "ERR_RATE_LIMITED", "ERR_TIMEOUT", "ERR_ACCESS_DENIED"] as const),
  ...(["ERR_DENIED", "ERR_APPROVAL_TIMEOUT", "ERR_KEY_NOT_FOUND", "ERR_CONFLICT"] as const),
])("what the companion answers is final: %s", async (code) => {
  const { provider, sent } = over([failing(code)]);
  const call = provider.sign({ keyId: "k", digest, algorithm: "ecdsa-p256-sha256" });
  const context = { provider: "rpc", operation: "sign", keyId: "k" };
  await expect(call).rejects.toMatchObject({ code, message: "as it is", context });
  expect(sent).toHaveLength(1);
});

test("one message for whatever does not open", async () => {
  const { provider } = over([failing("ERR_DECRYPTION_FAILED", "the tag is wrong")]);
  const open = provider.decrypt({ keyId: "k", ciphertext: digest });
  const message = "Decryption failed: wrong key, wrong associated data, or altered bytes";
  await expect(open).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED", message });
  for (const call of [
    provider.decrypt({ keyId: "k", ciphertext: new Uint8Array(66_561) }),
    provider.unwrapKey({ keyId: "k", wrappedKey: new Uint8Array(2049) }),
  ]) {
    await expect(call).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED", message });
  }
});

describe("answers that do not fit", () => {
  const publicKey = { ...used, publicKey: spki, algorithm: "ecdsa-p256" };
  const description = { ...used, algorithm: "aes-256-gcm", usage: "encryption", state: "enabled" };
  const calls: readonly [
    string,
    (provider: Required<CryptoProvider>) => Promise<unknown>,
    answer: object,
    altered: object,
  ][] = [
    [
      "encrypt: another key",
      (p) => p.encrypt({ keyId: "k", plaintext: digest }),
      sealed,
      { keyId: "x" },
    ],
    [
      "wrapKey: another key",
      (p) => p.wrapKey({ keyId: "k", key: digest }),
      { ...used, wrappedKey: digest },
      { keyId: "x" },
    ],
    [
      "sign: another key",
      (p) => p.sign({ keyId: "k", digest, algorithm: "ecdsa-p256-sha256" }),
      signed,
      { keyId: "x" },
    ],
    [
      "sign: another scheme",
      (p) => p.sign({ keyId: "k", digest, algorithm: "ecdsa-p256-sha256" }),
      signed,
      { algorithm: "rsa-pss-sha256" },
    ],
    ["getPublicKey: another key", (p) => p.getPublicKey({ keyId: "k" }), publicKey, { keyId: "x" }],
    [
      "getPublicKey: another version",
      (p) => p.getPublicKey({ keyId: "k", keyVersion: "1" }),
      publicKey,
      { keyVersion: "2" },
    ],
    [
      "getPublicKey: another algorithm",
      (p) => p.getPublicKey({ keyId: "k" }),
      publicKey,
      { algorithm: "ed25519" },
    ],
    [
      "getPublicKey: no public key",
      (p) => p.getPublicKey({ keyId: "k" }),
      publicKey,
      { publicKey: digest },
    ],
    [
      "mac: of another length",
      (p) => p.mac({ keyId: "k", message: digest }),
      { ...used, mac: new Uint8Array(32), algorithm: "hmac-sha256" },
      { mac: new Uint8Array(31) },
    ],
    [
      "verifyMac: another version",
      (p) => p.verifyMac({ keyId: "k", keyVersion: "1", message: digest, mac: new Uint8Array(32) }),
      { ...used, mac: new Uint8Array(32), algorithm: "hmac-sha256" },
      { keyVersion: "2" },
    ],
    [
      "describeKey: another key",
      (p) => p.describeKey({ keyId: "k" }),
      { keys: [description] },
      { keys: [{ ...description, keyId: "x" }] },
    ],
  ];

  test.each(calls)("%s", async (_, call, answer, altered) => {
    await call(over([() => structuredClone(answer)]).provider);
    const refused = call(over([() => ({ ...structuredClone(answer), ...altered })]).provider);
    await expect(refused).rejects.toMatchObject({ code: "ERR_INTEGRITY", retryable: false });
  });

  test("a list that goes round ends", async () => {
    const pages = [
      { keys: [], cursor: "a" },
      { keys: [], cursor: "b" },
      { keys: [], cursor: "a" },
    ];
    let page = 0;
    const { provider } = over([() => pages[page++]]);
    const steps = provider.listKeys({})[Symbol.asyncIterator]();
    await expect(steps.next()).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
  });

  test("a list without an end ends", async () => {
    let page = 0;
    const { provider } = over([() => ({ keys: [], cursor: String(page++) })]);
    const steps = provider.listKeys({})[Symbol.asyncIterator]();
    await expect(steps.next()).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
    expect(page).toBeLessThan(2000);
  });
});

test("the key ids default and empty stand for the configured key", async () => {
  const answer = ({ params }: Sent) => ({ ...sealed, keyId: params["keyId"] });
  const { provider, sent } = over([answer], { keyId: "phone-key" });
  for (const keyId of ["default", "", "other"])
    await provider.encrypt({ keyId, plaintext: digest });
  expect(sent.map(({ params }) => params["keyId"])).toEqual(["phone-key", "phone-key", "other"]);
  const result = await provider.encrypt({ keyId: "default", plaintext: digest });
  expect(result.keyId).toBe("phone-key");

  const plain = over([answer]);
  await plain.provider.encrypt({ keyId: "default", plaintext: digest });
  expect(plain.sent[0]!.params["keyId"]).toBe("default");
  for (const keyId of ["", "k".repeat(513)]) {
    const call = plain.provider.encrypt({ keyId, plaintext: digest });
    await expect(call).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
});

test("messages are sent whole up to 64 KiB; of longer ones the digest, which Ed25519 has none of", async () => {
  const { provider, sent } = over([
    ({ params }) => ({ ...signed, algorithm: params["algorithm"] }),
  ]);
  const sign = (algorithm: SignatureAlgorithm, length: number) =>
    provider.sign({ keyId: "k", message: new Uint8Array(length), algorithm });
  const lengths = () => {
    const { message, digest } = sent.at(-1)!.params as Partial<Record<string, Uint8Array>>;
    return { message: message?.length, digest: digest?.length };
  };
  for (const algorithm of ["ecdsa-p256-sha256", "rsa-pss-sha512", "ed25519"] as const) {
    await sign(algorithm, 65_536);
    expect(lengths()).toEqual({ message: 65_536, digest: undefined });
  }
  await sign("rsa-pss-sha512", 65_537);
  expect(lengths()).toEqual({ message: undefined, digest: 64 });
  await provider.sign({ keyId: "k", digest, algorithm: "ecdsa-p256-sha256" });
  expect(lengths()).toEqual({ message: undefined, digest: 32 });
  for (const call of [
    sign("ed25519", 65_537),
    provider.mac({ keyId: "k", message: new Uint8Array(65_537) }),
  ]) {
    await expect(call).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  }
  expect(sent).toHaveLength(5);
});

test("a public key is remembered for a minute, or until an answer names another version", async () => {
  let now = 0;
  let keyVersion = "1";
  const { provider, sent } = over(
    [
      ({ method }) =>
        method === "sign"
          ? { ...signed, keyVersion }
          : { keyId: "k", keyVersion, publicKey: spki, algorithm: "ecdsa-p256" },
    ],
    { clock: () => now },
  );
  const asked = () => sent.filter(({ method }) => method === "getPublicKey").length;
  const verify = (version?: string) =>
    provider.verify({
      keyId: "k",
      keyVersion: version,
      message: digest,
      signature: signed.signature,
    });
  for (let i = 0; i < 3; i++) expect(await verify()).toBe(false);
  expect(asked()).toBe(1);
  now = 59_999;
  await verify();
  expect(asked()).toBe(1);
  now = 60_000;
  await verify();
  expect(asked()).toBe(2);
  keyVersion = "2";
  await verify();
  expect(asked()).toBe(2);
  await provider.sign({ keyId: "k", message: digest });
  await verify();
  expect(asked()).toBe(3);
  keyVersion = "1";
  await verify("1");
  await verify("1");
  expect(asked()).toBe(4);
});

test("what is remembered stays, whatever the caller does with the bytes of a public key", async () => {
  const { provider } = over([
    () => ({ ...used, publicKey: spki.slice(), algorithm: "ecdsa-p256" }),
  ]);
  (await provider.getPublicKey({ keyId: "k" })).publicKey.fill(0);
  expect((await provider.getPublicKey({ keyId: "k" })).publicKey).toEqual(spki);
});

test("the companion of the first request is that of all", async () => {
  const first = scriptedChannel(() => sealed);
  const second = scriptedChannel(() => sealed, "companion-2");
  let current = first;
  const link = { channel: async () => current, close: async () => undefined };
  const provider = createRpcProvider({ link });
  await provider.encrypt({ keyId: "k", plaintext: digest });
  current = second;
  const call = provider.encrypt({ keyId: "k", plaintext: digest });
  await expect(call).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED", retryable: false });
  const named = createRpcProvider({ link, peerId: "companion-2" });
  await named.encrypt({ keyId: "k", plaintext: digest });
});

test("a device that was revoked stays refused, though nobody says so again, until it is taken again", async () => {
  const refuse = failing("ERR_ACCESS_DENIED");
  let channel: ScriptedChannel | undefined = scriptedChannel(() => {
    // In this order: what is in flight hears why, and then the channel is gone.
    process.nextTick(() => {
      channel?.drop();
      channel = undefined;
    });
    return refuse();
  });
  const link = {
    channel: async () => channel ?? failing("ERR_UNAVAILABLE")(),
    close: async () => undefined,
  };
  const provider = createRpcProvider({ link });
  const call = () => provider.encrypt({ keyId: "k", plaintext: digest });
  for (let i = 0; i < 3; i++) {
    await expect(call()).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED", retryable: false });
  }
  channel = scriptedChannel(() => sealed);
  expect(await call()).toMatchObject(used);
  channel = undefined;
  await expect(call()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
});

test("health asks for metadata, and tells what is wrong", async () => {
  const { provider, sent } = over([() => ({ name: "phone", asks: true, keys: 1 })]);
  expect(await provider.health({})).toMatchObject({ healthy: true });
  expect(sent.map(({ method }) => method)).toEqual(["status"]);
  const disabled = over([() => ({ keys: [{ ...used, state: "disabled" }] })], { keyId: "k" });
  const report = { healthy: false, reason: "Key k is disabled" };
  expect(await disabled.provider.health({})).toMatchObject(report);
  const away = { healthy: false, reason: "nobody there" };
  expect(await over([]).provider.health({})).toMatchObject(away);
  const { provider: closed } = over([]);
  await closed.close();
  await expect(closed.health({})).rejects.toMatchObject({ code: "ERR_CLOSED" });
});

test("close lets calls in flight end, and refuses later ones", async () => {
  const answer = Promise.withResolvers<unknown>();
  const { provider, sent } = over([() => answer.promise]);
  const call = provider.encrypt({ keyId: "k", plaintext: digest });
  await vi.waitFor(() => expect(sent).toHaveLength(1));
  const closing = provider.close();
  const late = provider.encrypt({ keyId: "k", plaintext: digest });
  await expect(late).rejects.toMatchObject({ code: "ERR_CLOSED" });
  answer.resolve(sealed);
  expect(await call).toMatchObject(used);
  await closing;
});

describe("in its full dress", () => {
  test("waits for a person longer than any deadline of services, repeats nothing and breaks no circuit", async () => {
    vi.useFakeTimers();
    const { provider, sent } = over([
      () => new Promise((resolve) => setTimeout(resolve, 119_000, sealed)),
    ]);
    const resilient = createResilientProvider(provider);
    const call = resilient.encrypt({ keyId: "k", plaintext: digest });
    await vi.advanceTimersByTimeAsync(119_000);
    expect(await call).toMatchObject(used);
    expect(sent).toHaveLength(1);
    expect(sent[0]!.options).toMatchObject({ timeoutMs: 30_000, approvalTimeoutMs: 120_000 });

    const away = over([]);
    const patient = createResilientProvider(away.provider);
    for (let i = 0; i < 10; i++) {
      const refused = patient.encrypt({ keyId: "k", plaintext: digest });
      await expect(refused).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    }
  });

  const local = () =>
    createLocalProvider({
      keys: [
        {
          id: "spare",
          algorithm: "aes-256-gcm",
          versions: [{ version: 1, material: generateKeyMaterial("aes-256-gcm") }],
        },
      ],
    });
  const composed = (rpc: CryptoProvider) =>
    createCryptoClient({
      provider: createComposite({
        providers: { rpc: createResilientProvider(rpc), local: local() },
        fallback: { from: "rpc", to: "local:spare" },
      }),
    });

  test.each(["ERR_UNAVAILABLE", "ERR_TIMEOUT"] as const)(
    "%s falls back, for encrypt alone",
    async (code) => {
      const client = composed(over([failing(code)]).provider);
      const result = await client.encrypt({ keyId: "rpc:k", plaintext: digest });
      expect(result).toMatchObject({ degraded: true, keyId: "local:spare" });
      for (const call of [
        client.sign({ keyId: "rpc:k", message: digest, algorithm: "ecdsa-p256-sha256" }),
        client.mac({ keyId: "rpc:k", message: digest }),
        client.decrypt({ keyId: "rpc:k", ciphertext: digest }),
        client.wrapKey({ keyId: "rpc:k", key: digest }),
      ]) {
        await expect(call).rejects.toMatchObject({ code });
      }
    },
  );

  test.each([
    ...(["ERR_DENIED", "ERR_APPROVAL_TIMEOUT", "ERR_ACCESS_DENIED", "ERR_RATE_LIMITED"] as const),
    ...(["ERR_INTEGRITY", "ERR_KEY_NOT_FOUND"] as const),
  ])("%s does not", async (code) => {
    const client = composed(over([failing(code)]).provider);
    const call = client.encrypt({ keyId: "rpc:k", plaintext: digest });
    await expect(call).rejects.toMatchObject({ code });
  });
});
