import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as sdk from "@aws-sdk/client-kms";
import {
  createCryptoClient,
  ECDSA_CURVES,
  fromBase64Url,
  isCryptoError,
  signatureToDer,
} from "@lango/crypto-core";
import { afterEach, describe, expect, test } from "vitest";
import { createAwsKmsProvider } from "../src/index.ts";
import { KEY_ARN, metadata, OTHER_ARN, standIn } from "./stand-in.ts";

const code = (name: string) => expect.objectContaining({ code: name });
const bytes = (length: number, fill = 7) => new Uint8Array(length).fill(fill);
const signingKey = (spec: string, algorithms: string[]) => () =>
  metadata({ KeySpec: spec, KeyUsage: "SIGN_VERIFY", SigningAlgorithms: algorithms });
const p256 = signingKey("ECC_NIST_P256", ["ECDSA_SHA_256"]);
const macKey = () => metadata({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A server that answers as a test says: status, and JSON. */
async function listen(
  answer: (call: number) => [number, unknown],
): Promise<{ url: string; calls: () => number }> {
  let calls = 0;
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      const [status, body] = answer(++calls);
      response.writeHead(status, { "content-type": "application/x-amz-json-1.1" });
      response.end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls: () => calls };
}

const fixed = { accessKeyId: "test", secretAccessKey: "test" };

test("trap 2a.1: a message of any length is hashed here and sent as a digest; 4095 bytes can be encrypted", async () => {
  const client = standIn({
    DescribeKey: p256,
    Sign: () => ({ KeyId: KEY_ARN, Signature: signatureToDer(bytes(64)) }),
  });
  const message = bytes(5000);
  await createAwsKmsProvider({ client }).sign({ keyId: KEY_ARN, message });
  expect(client.sent.at(-1)?.input).toMatchObject({
    KeyId: KEY_ARN,
    MessageType: "DIGEST",
    Message: createHash("sha256").update(message).digest(),
    SigningAlgorithm: "ECDSA_SHA_256",
  });
  const crypto = createCryptoClient({ provider: createAwsKmsProvider({ client }) });
  const call = crypto.encrypt({ keyId: KEY_ARN, plaintext: bytes(4096) });
  await expect(call).rejects.toEqual(code("ERR_INVALID_ARGUMENT"));
});

test("trap 2a.2: a digest of another length is ERR_INVALID_ARGUMENT, and nothing is sent", async () => {
  const client = standIn({ DescribeKey: p256 });
  const provider = createAwsKmsProvider({ client });
  const call = provider.sign({ keyId: KEY_ARN, digest: bytes(20) });
  await expect(call).rejects.toEqual(code("ERR_INVALID_ARGUMENT"));
  expect(client.sent.map(({ name }) => name)).toEqual(["DescribeKey"]);
});

describe("trap 2a.3: DER becomes r‖s;", () => {
  const { order } = ECDSA_CURVES.secp256k1;
  const highS = Uint8Array.from(
    Buffer.from(`${"01".repeat(32)}${(order - 5n).toString(16)}`, "hex"),
  );
  const sign = async (describeKey: () => unknown) => {
    const Sign = () => ({ KeyId: KEY_ARN, Signature: signatureToDer(highS) });
    const client = standIn({ DescribeKey: describeKey, Sign });
    return await createAwsKmsProvider({ client }).sign({ keyId: KEY_ARN, message: bytes(1) });
  };

  test("a high s of secp256k1 becomes the low one", async () => {
    const { signature } = await sign(signingKey("ECC_SECG_P256K1", ["ECDSA_SHA_256"]));
    expect(signature.subarray(0, 32)).toEqual(bytes(32, 1));
    expect(signature.subarray(32)).toEqual(Uint8Array.of(...bytes(31, 0), 5));
  });

  test("what is no DER is ERR_INTEGRITY", async () => {
    const Sign = () => ({ KeyId: KEY_ARN, Signature: bytes(64) });
    const call = createAwsKmsProvider({ client: standIn({ DescribeKey: p256, Sign }) }).sign({
      keyId: KEY_ARN,
      message: bytes(1),
    });
    await expect(call).rejects.toEqual(code("ERR_INTEGRITY"));
  });

  test("one of P-256 stays", async () => {
    expect((await sign(p256)).signature).toEqual(highS);
  });
});

test("trap 2a.4: the scheme follows the request, not the first that the key lists", async () => {
  const listed = ["RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PSS_SHA_384"];
  const client = standIn({
    DescribeKey: signingKey("RSA_2048", listed),
    Sign: () => ({ KeyId: KEY_ARN, Signature: bytes(256) }),
  });
  const provider = createAwsKmsProvider({ client });
  const message = bytes(3);
  await provider.sign({ keyId: KEY_ARN, message, algorithm: "rsa-pss-sha384" });
  expect(client.sent.at(-1)?.input).toMatchObject({ SigningAlgorithm: "RSASSA_PSS_SHA_384" });
  expect(client.sent.at(-1)?.input["Message"]).toHaveLength(48);
  for (const algorithm of ["rsa-pss-sha512", "ecdsa-p256-sha256", "ed25519"] as const) {
    const call = provider.sign({ keyId: KEY_ARN, message, algorithm });
    await expect(call, algorithm).rejects.toEqual(code("ERR_UNSUPPORTED"));
  }
});

describe("trap 2a.5: the key is named in every call and compared in every answer:", () => {
  test("a plaintext that another key opened is dropped and zeroed", async () => {
    const Plaintext = bytes(32);
    const client = standIn({ Decrypt: () => ({ KeyId: OTHER_ARN, Plaintext }) });
    const call = createAwsKmsProvider({ client }).unwrapKey({
      keyId: KEY_ARN,
      wrappedKey: bytes(100),
    });
    await expect(call).rejects.toEqual(code("ERR_DECRYPTION_FAILED"));
    expect(client.sent.at(-1)?.input).toMatchObject({ KeyId: KEY_ARN });
    expect(Plaintext).toEqual(bytes(32, 0));
  });

  test.each(["another key", "no key"])(
    "an answer that names %s is ERR_INTEGRITY",
    async (which) => {
      const KeyId = which === "no key" ? undefined : OTHER_ARN;
      const client = standIn({
        Encrypt: () => ({ KeyId, CiphertextBlob: bytes(9) }),
        GenerateMac: () => ({ KeyId, Mac: bytes(32) }),
      });
      const provider = createAwsKmsProvider({ client });
      const call = provider.wrapKey({ keyId: KEY_ARN, key: bytes(32) });
      await expect(call).rejects.toEqual(code("ERR_INTEGRITY"));
    },
  );

  test("a description of another key is no description of this one", async () => {
    const client = standIn({ DescribeKey: () => metadata({ Arn: OTHER_ARN }) });
    const call = createAwsKmsProvider({ client }).describeKey({ keyId: KEY_ARN });
    await expect(call).rejects.toEqual(code("ERR_KEY_NOT_FOUND"));
  });

  test("an alias is resolved once, and calls go to its key", async () => {
    const client = standIn({ Encrypt: () => ({ KeyId: KEY_ARN, CiphertextBlob: bytes(9) }) });
    const provider = createAwsKmsProvider({ client });
    const request = { keyId: "alias/notes", key: bytes(32) };
    const results = await Promise.all([1, 2, 3].map(() => provider.wrapKey(request)));
    results.push(await provider.wrapKey({ ...request, keyId: "alias/notes" }));
    expect(new Set(results.map(({ keyId }) => keyId))).toEqual(new Set([KEY_ARN]));
    const [first, ...others] = client.sent;
    expect(first).toMatchObject({ name: "DescribeKey", input: { KeyId: "alias/notes" } });
    expect(others.map(({ name, input }) => [name, input["KeyId"]])).toEqual(
      Array.from({ length: 4 }, () => ["Encrypt", KEY_ARN]),
    );
  });

  test("after its time it is resolved again, and a failure is not remembered", async () => {
    let broken = true;
    const client = standIn({
      DescribeKey: () => {
        if (broken) throw new sdk.KMSInternalException({ message: "", $metadata: {} });
        return metadata();
      },
      Encrypt: () => ({ KeyId: KEY_ARN, CiphertextBlob: bytes(9) }),
    });
    const provider = createAwsKmsProvider({ client, keyTtlMs: 0 });
    const call = () => provider.wrapKey({ keyId: "alias/notes", key: bytes(32) });
    await expect(call()).rejects.toEqual(code("ERR_UNAVAILABLE"));
    broken = false;
    await call();
    await call();
    expect(client.sent.filter(({ name }) => name === "DescribeKey")).toHaveLength(3);
  });

  test("a key of another region is not asked for; a multi-Region key is, as its replica here", async () => {
    const mrk = `mrk-${"0".repeat(32)}`;
    const here = `arn:aws:kms:eu-central-1:111122223333:key/${mrk}`;
    const client = standIn({ DescribeKey: () => metadata({ Arn: here }) });
    const provider = createAwsKmsProvider({ client });
    const elsewhere = KEY_ARN.replace("eu-central-1", "us-east-1");
    for (const keyId of [
      elsewhere,
      `${elsewhere}/..`,
      "arn:aws:s3:::bucket",
      "http://evil.example/",
    ]) {
      await expect(provider.describeKey({ keyId })).rejects.toEqual(code("ERR_KEY_NOT_FOUND"));
    }
    expect(client.sent).toEqual([]);
    const keyId = here.replace("eu-central-1", "us-east-1");
    expect(await provider.describeKey({ keyId })).toMatchObject({ keyId: here });
    expect(client.sent.map(({ input }) => input)).toEqual([{ KeyId: here }]);
  });
});

test("trap 2a.6: the context is one pair that binds the AAD and does not show it; none is the empty one", async () => {
  const client = standIn({ Encrypt: () => ({ KeyId: KEY_ARN, CiphertextBlob: bytes(9) }) });
  const provider = createAwsKmsProvider({ client });
  const contexts = async (aad?: Uint8Array) => {
    await provider.wrapKey({ keyId: KEY_ARN, key: bytes(32), aad });
    await provider.encrypt({ keyId: KEY_ARN, plaintext: bytes(1), aad });
    return client.sent.slice(-2).map(({ input }) => input["EncryptionContext"]);
  };
  const digest = (aad: Uint8Array) => createHash("sha256").update(aad).digest("base64url");
  const aad = new TextEncoder().encode("patient 4711");
  expect(await contexts(aad)).toEqual([
    { "lango-aad": digest(aad) },
    { "lango-data-aad": digest(aad) },
  ]);
  expect(fromBase64Url(digest(aad))).toHaveLength(32);
  const none = await contexts();
  expect(none).toEqual([{ "lango-aad": digest(bytes(0)) }, { "lango-data-aad": digest(bytes(0)) }]);
  expect(await contexts(bytes(0))).toEqual(none);
});

test("trap 2a.7: only symmetric keys rotate; others are refused with what to do instead", async () => {
  for (const describeKey of [p256, macKey]) {
    const client = standIn({ DescribeKey: describeKey });
    const call = createAwsKmsProvider({ client }).rotateKey({ keyId: KEY_ARN });
    const error = await call.catch((reason: unknown) => reason);
    expect(isCryptoError(error) && [error.code, error.context.hint]).toEqual([
      "ERR_UNSUPPORTED",
      expect.stringContaining("new key"),
    ]);
    expect(client.sent.map(({ name }) => name)).toEqual(["DescribeKey"]);
  }
});

test("trap 2a.8: a plaintext is copied out of the SDK's shared buffer and zeroed there, its neighbours not", async () => {
  const pool = bytes(100, 9);
  const Plaintext = pool.subarray(10, 42);
  const client = standIn({ Decrypt: () => ({ KeyId: KEY_ARN, Plaintext }) });
  const provider = createAwsKmsProvider({ client });
  const key = await provider.unwrapKey({ keyId: KEY_ARN, wrappedKey: bytes(100) });
  expect(key).toEqual(bytes(32, 9));
  expect(key.buffer.byteLength).toBe(32);
  expect(pool).toEqual(Uint8Array.of(...bytes(10, 9), ...bytes(32, 0), ...bytes(58, 9)));
});

test("trap 2a.10: the SDK makes one attempt", async () => {
  const server = await listen(() => [500, { __type: "KMSInternalException" }]);
  const provider = createAwsKmsProvider({
    region: "us-east-1",
    endpoint: server.url,
    credentials: fixed,
  });
  await expect(provider.random({ bytes: 8 })).rejects.toEqual(code("ERR_UNAVAILABLE"));
  expect(server.calls()).toBe(1);
  await provider.close();
});

describe("trap 2a.11:", () => {
  test("an abort ends a call that waits for credentials, at once", async () => {
    const credentials = () => new Promise<never>(() => {});
    const provider = createAwsKmsProvider({ region: "us-east-1", credentials });
    const controller = new AbortController();
    const reason = new Error("enough");
    const { signal } = controller;
    const calls = [
      provider.random({ bytes: 8, signal }),
      provider.wrapKey({
        keyId: KEY_ARN.replace("eu-central-1", "us-east-1"),
        key: bytes(32),
        signal,
      }),
      provider.health({ signal }),
      provider.listKeys({ signal })[Symbol.asyncIterator]().next(),
    ];
    setTimeout(() => controller.abort(reason), 20);
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toEqual({ status: "rejected", reason });
    }
  });

  test("a plaintext that comes after the abort is zeroed", async () => {
    const Plaintext = bytes(32);
    let answer = (): void => {};
    const asked = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let release = (_: unknown): void => {};
    const answered = new Promise((resolve) => {
      release = resolve;
    });
    const client = standIn({
      Decrypt: () => {
        answer();
        return answered;
      },
    });
    const controller = new AbortController();
    const call = createAwsKmsProvider({ client }).unwrapKey({
      keyId: KEY_ARN,
      wrappedKey: bytes(100),
      signal: controller.signal,
    });
    await asked;
    controller.abort(new Error("late"));
    await expect(call).rejects.toThrow("late");
    release({ KeyId: KEY_ARN, Plaintext });
    await answered;
    await new Promise(setImmediate);
    expect(Plaintext).toEqual(bytes(32, 0));
  });
});

describe("trap 2a.12: credentials that expire:", () => {
  test("the function is asked again before they do", async () => {
    const random = { Plaintext: Buffer.from(bytes(8)).toString("base64") };
    const server = await listen(() => [200, random]);
    let asked = 0;
    // Fewer than the five minutes that the SDK keeps in hand.
    const credentials = async () => ({
      ...fixed,
      expiration: new Date(Date.now() + 1000 * ++asked),
    });
    const provider = createAwsKmsProvider({
      region: "us-east-1",
      endpoint: server.url,
      credentials,
    });
    await provider.random({ bytes: 8 });
    await provider.random({ bytes: 8 });
    expect(asked).toBeGreaterThanOrEqual(2);
    await provider.close();
  });

  test("those that the service calls expired are fetched anew, and the call is made again, once", async () => {
    const random = { Plaintext: Buffer.from(bytes(8)).toString("base64") };
    const expired = { __type: "ExpiredTokenException" };
    const server = await listen((call) => (call === 1 ? [400, expired] : [200, random]));
    let asked = 0;
    const credentials = async () => {
      asked++;
      return { ...fixed, expiration: new Date(Date.now() + 3_600_000) };
    };
    const provider = createAwsKmsProvider({
      region: "us-east-1",
      endpoint: server.url,
      credentials,
    });
    expect(await provider.random({ bytes: 8 })).toEqual(bytes(8));
    expect([asked, server.calls()]).toEqual([2, 2]);
    await provider.close();
  });
});

test("trap 2a.13: a MAC is for 1 to 4096 bytes, and a MAC of another length is none", async () => {
  const client = standIn({ DescribeKey: macKey });
  const provider = createAwsKmsProvider({ client });
  for (const length of [0, 4097]) {
    const call = provider.mac({ keyId: KEY_ARN, message: bytes(length) });
    await expect(call).rejects.toEqual(code("ERR_INVALID_ARGUMENT"));
  }
  expect(await provider.verifyMac({ keyId: KEY_ARN, message: bytes(1), mac: bytes(31) })).toBe(
    false,
  );
  expect(client.sent.map(({ name }) => name)).toEqual(["DescribeKey"]);
});

test("trap 2a.14: an answer to ReEncrypt that names another key, and a target that does not exist", async () => {
  const request = { keyId: KEY_ARN, toKeyId: OTHER_ARN, wrappedKey: bytes(40) };
  const DescribeKey = ({ KeyId }: { KeyId: string | undefined }) => metadata({ Arn: KeyId });
  for (const answer of [
    { SourceKeyId: OTHER_ARN, KeyId: OTHER_ARN, CiphertextBlob: bytes(40) },
    { SourceKeyId: KEY_ARN, KeyId: KEY_ARN, CiphertextBlob: bytes(40) },
    { SourceKeyId: KEY_ARN, KeyId: OTHER_ARN },
  ]) {
    const client = standIn({ DescribeKey, ReEncrypt: () => answer });
    const call = createAwsKmsProvider({ client }).rewrapKey(request);
    await expect(call).rejects.toEqual(code("ERR_INTEGRITY"));
  }
  const missing = new sdk.NotFoundException({ message: "", $metadata: {} });
  const client = standIn({
    DescribeKey: (input) => {
      if (input.KeyId === OTHER_ARN) throw missing;
      return DescribeKey(input);
    },
  });
  await expect(createAwsKmsProvider({ client }).rewrapKey(request)).rejects.toMatchObject({
    code: "ERR_KEY_NOT_FOUND",
    context: { operation: "rewrapKey", keyId: OTHER_ARN },
  });
});

test("trap 2a.16: no public key is remembered", async () => {
  const PublicKey = bytes(91);
  const client = standIn({
    DescribeKey: p256,
    GetPublicKey: () => ({ KeyId: KEY_ARN, PublicKey: Uint8Array.from(PublicKey) }),
  });
  const provider = createAwsKmsProvider({ client });
  await provider.getPublicKey({ keyId: KEY_ARN });
  PublicKey.fill(8);
  expect((await provider.getPublicKey({ keyId: KEY_ARN })).publicKey).toEqual(bytes(91, 8));
});
