import { randomUUID } from "node:crypto";
import { signatureToDer, utf8 } from "@lango/crypto-core";
import { afterAll, describe, expect, test } from "vitest";
import { type PythonClient, startClient } from "../../../tooling/services/client.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { ALGORITHMS } from "../src/algorithms.ts";
import type { Message } from "./stand-in/kms.ts";
import { keyRing, withStandIn } from "./with-stand-in.ts";

// The stand-in and the provider are both ours. Here Google's client and Tink, which others wrote, speak with the one
// and read what the other made.
const bench = withStandIn();
const plaintext = utf8("buy milk");
const aad = utf8("a note");
const location = keyRing.slice(0, keyRing.indexOf("/keyRings"));
const version = (key: string, number = 1) => `${key}/cryptoKeyVersions/${number}`;

/** Algorithms of the service, the level at which it has them, and what `cryptography` calls the key. */
const SIGNING = [
  ["EC_SIGN_P256_SHA256", "SOFTWARE", "secp256r1"],
  ["EC_SIGN_P384_SHA384", "SOFTWARE", "secp384r1"],
  ["EC_SIGN_SECP256K1_SHA256", "HSM", "secp256k1"],
  ["EC_SIGN_ED25519", "SOFTWARE", "Ed25519"],
  ["RSA_SIGN_PSS_2048_SHA256", "SOFTWARE", "RSA-2048"],
  ["RSA_SIGN_PSS_4096_SHA512", "SOFTWARE", "RSA-4096"],
  ["RSA_SIGN_PKCS1_2048_SHA256", "SOFTWARE", "RSA-2048"],
  ["RSA_SIGN_PKCS1_4096_SHA512", "SOFTWARE", "RSA-4096"],
] as const;
const MACS = ["HMAC_SHA256", "HMAC_SHA384", "HMAC_SHA512"];

describe.each(["grpc", "rest"] as const)("Google's Python client over %s", (transport) => {
  let client: PythonClient | undefined;
  afterAll(() => client?.stop());
  const python = (name: string, given: object) => {
    const { grpcUrl, restUrl } = bench.standIn;
    const address = transport === "grpc" ? new URL(grpcUrl).host : restUrl;
    client ??= startClient(requireService("cloud-clients"), "google-client.py", [
      transport,
      address,
    ]);
    return client.call(name, given);
  };
  const call = (method: string, request: object, options: { checked?: boolean } = {}) =>
    python("call", { method, request, ...options });
  const create = async (algorithm: string, level = "SOFTWARE", purpose = "ASYMMETRIC_SIGN") => {
    const version_template = { algorithm, protection_level: level };
    const crypto_key = { purpose, version_template };
    const request = { parent: keyRing, crypto_key_id: `p-${randomUUID()}`, crypto_key };
    return (await call("create_crypto_key", request)).name as string;
  };
  const createAead = () => create("GOOGLE_SYMMETRIC_ENCRYPTION", "SOFTWARE", "ENCRYPT_DECRYPT");
  const provider = () => bench.provider({ transport });

  test("makes, reads and lists keys and versions, as the provider does", async () => {
    const name = await createAead();
    const second = await call("create_crypto_key_version", {
      parent: name,
      crypto_key_version: {},
    });
    expect(second).toMatchObject({
      name: version(name, 2),
      state: "ENABLED",
      algorithm: "GOOGLE_SYMMETRIC_ENCRYPTION",
      protection_level: "SOFTWARE",
    });
    expect(Date.parse(second.create_time)).toBeGreaterThan(Date.now() - 60_000);
    const promote = { name, crypto_key_version_id: "2" };
    expect((await call("update_crypto_key_primary_version", promote)).primary.name).toBe(
      second.name,
    );
    expect(await call("get_crypto_key", { name })).toMatchObject({
      name,
      purpose: "ENCRYPT_DECRYPT",
      primary: { name: second.name },
      version_template: { algorithm: "GOOGLE_SYMMETRIC_ENCRYPTION" },
    });
    const disable = { crypto_key_version: { name: version(name), state: "DISABLED" } };
    const update = { ...disable, update_mask: { paths: ["state"] } };
    expect((await call("update_crypto_key_version", update)).state).toBe("DISABLED");
    expect((await call("get_crypto_key_version", { name: version(name) })).state).toBe("DISABLED");
    const made = await provider().createKey({ algorithm: "ecdsa-p256", usage: "signing" });
    expect((await call("get_crypto_key", { name: made.keyId })).purpose).toBe("ASYMMETRIC_SIGN");

    // More than a page of each.
    for (const _ of [3, 4]) {
      await call("create_crypto_key_version", { parent: name, crypto_key_version: {} });
    }
    const versions: Message[] = await call("list_crypto_key_versions", { parent: name });
    expect(versions.map(({ state }) => state)).toEqual([
      "DISABLED",
      "ENABLED",
      "ENABLED",
      "ENABLED",
    ]);
    for (const _ of [2, 3, 4]) await createAead();
    const keys: Message[] = await call("list_crypto_keys", { parent: keyRing });
    const ours = [];
    for await (const { keyId } of provider().listKeys({})) ours.push(keyId);
    expect(keys.length).toBeGreaterThan(3);
    expect(keys.map((key) => key["name"]).sort()).toEqual(ours.sort());
    expect((await call("get_key_ring", { name: keyRing })).name).toBe(keyRing);
  });

  test("encrypts and decrypts with AAD and checksums, and so does the provider what it made", async () => {
    const name = await createAead();
    const sealed = await call("encrypt", {
      name,
      plaintext,
      additional_authenticated_data: aad,
    });
    expect(sealed).toMatchObject({
      name: version(name),
      verified_plaintext_crc32c: true,
      verified_additional_authenticated_data_crc32c: true,
      compared: ["ciphertext"],
    });
    const { ciphertext } = sealed;
    const opened = await call("decrypt", { name, ciphertext, additional_authenticated_data: aad });
    expect(opened).toMatchObject({ plaintext, used_primary: true, compared: ["plaintext"] });
    expect(await provider().decrypt({ keyId: name, ciphertext, aad })).toEqual(plaintext);

    const ours = await provider().encrypt({ keyId: name, plaintext, aad });
    const read = { name, ciphertext: ours.ciphertext, additional_authenticated_data: aad };
    expect((await call("decrypt", read)).plaintext).toEqual(plaintext);
    const { wrappedKey } = await provider().wrapKey({ keyId: name, key: plaintext });
    const unwrapped = await call("decrypt", { name, ciphertext: wrappedKey });
    expect(unwrapped.plaintext).toEqual(plaintext);

    const bare = await call("encrypt", { name, plaintext }, { checked: false });
    expect(bare.verified_plaintext_crc32c).toBe(false);
    expect(await provider().decrypt({ keyId: name, ciphertext: bare.ciphertext })).toEqual(
      plaintext,
    );
    const empty = await provider().encrypt({ keyId: name, plaintext: new Uint8Array() });
    expect((await call("decrypt", { name, ciphertext: empty.ciphertext })).plaintext).toEqual(
      new Uint8Array(),
    );
  });

  test.each(SIGNING)(
    "signs with %s, and `cryptography` verifies both",
    async (algorithm, level, kind) => {
      const name = await create(algorithm, level);
      const { hash, signature: scheme } = ALGORITHMS[algorithm]!;
      const key = await call("get_public_key", { name: version(name) });
      expect(key).toMatchObject({ algorithm, compared: ["pem"] });
      const { publicKey } = await provider().getPublicKey({ keyId: name });
      const message = plaintext;
      const verifies = (public_key: Uint8Array, signature: Uint8Array, form?: "der") =>
        python("verify", { public_key, scheme, message, signature, ...(form && { form }) });

      const digest = hash && new Uint8Array(await crypto.subtle.digest(webHash(hash), message));
      const input = digest ? { digest: { [hash]: digest } } : { data: message };
      const theirs = await call("asymmetric_sign", { name: version(name), ...input });
      expect(theirs).toMatchObject({
        name: version(name),
        compared: ["signature"],
        [digest ? "verified_digest_crc32c" : "verified_data_crc32c"]: true,
      });
      await verifies(utf8(key.pem), theirs.signature, "der");
      const ours = await provider().sign({ keyId: name, message });
      expect(await verifies(publicKey, ours.signature)).toBe(kind);
      const altered = ours.signature.with(9, ours.signature[9]! ^ 1);
      await expect(verifies(publicKey, altered)).rejects.toMatchObject({
        name: "InvalidSignature",
      });
    },
  );

  test.each(MACS)(
    "makes and verifies MACs with %s, and so does the provider",
    async (algorithm) => {
      const name = await create(algorithm, "SOFTWARE", "MAC");
      const data = plaintext;
      const theirs = await call("mac_sign", { name: version(name), data });
      expect(theirs).toMatchObject({ verified_data_crc32c: true, compared: ["mac"] });
      const { mac } = await provider().mac({ keyId: name, message: data });
      expect(mac).toEqual(theirs.mac);
      const verify = (value: Uint8Array) =>
        call("mac_verify", { name: version(name), data, mac: value });
      expect(await verify(mac)).toMatchObject({
        success: true,
        verified_data_crc32c: true,
        verified_mac_crc32c: true,
        verified_success_integrity: true,
      });
      const wrong = await verify(mac.with(0, mac[0]! ^ 1));
      expect(wrong).toMatchObject({ success: false, verified_success_integrity: false });
    },
  );

  test("gets random bytes", async () => {
    const request = { location, length_bytes: 32, protection_level: "HSM" };
    const { data, compared } = await call("generate_random_bytes", request);
    expect([data.length, compared]).toEqual([32, ["data"]]);
  });

  test("gets the exceptions that Google's library has for the codes", async () => {
    const name = await createAead();
    const { ciphertext } = await call("encrypt", { name, plaintext });
    // Over REST it goes by the HTTP status alone.
    const names: Record<string, string> =
      transport === "grpc"
        ? {}
        : {
            InvalidArgument: "BadRequest",
            FailedPrecondition: "BadRequest",
            AlreadyExists: "Conflict",
          };
    const fails = async (exception: string, method: string, request: object, checked = true) =>
      expect(call(method, request, { checked })).rejects.toMatchObject({
        name: names[exception] ?? exception,
      });
    const other = { additional_authenticated_data: aad };
    await fails("InvalidArgument", "decrypt", { name, ciphertext, ...other });
    await fails("InvalidArgument", "encrypt", { name, plaintext, plaintext_crc32c: 1 }, false);
    await fails("NotFound", "get_crypto_key", { name: `${name}-not` });
    await fails("NotFound", "encrypt", { name: version(name, 9), plaintext });
    const id = name.split("/").at(-1);
    const crypto_key = { purpose: "ENCRYPT_DECRYPT" };
    await fails("AlreadyExists", "create_crypto_key", {
      parent: keyRing,
      crypto_key_id: id,
      crypto_key,
    });
    bench.setState(name, 1, "DISABLED");
    await fails("FailedPrecondition", "encrypt", { name, plaintext });
    await fails("FailedPrecondition", "decrypt", { name, ciphertext });
  });

  test("Tink, which compares every checksum and name, opens, signs and verifies what the provider does", async () => {
    const name = await createAead();
    const sealed = await python("tink_encrypt", { name, plaintext, aad });
    expect(await provider().decrypt({ keyId: name, ciphertext: sealed, aad })).toEqual(plaintext);
    const { ciphertext } = await provider().encrypt({ keyId: name, plaintext, aad });
    expect(await python("tink_decrypt", { name, ciphertext, aad })).toEqual(plaintext);
    const other = python("tink_decrypt", { name, ciphertext, aad: plaintext });
    await expect(other).rejects.toMatchObject({ name: "TinkError" });

    const macKey = await create("HMAC_SHA256", "SOFTWARE", "MAC");
    const { mac } = await provider().mac({ keyId: macKey, message: plaintext });
    expect(await python("tink_mac", { name: version(macKey), data: plaintext })).toEqual(mac);
    await python("tink_verify_mac", { name: version(macKey), data: plaintext, mac });
    const wrong = python("tink_verify_mac", { name: version(macKey), data: aad, mac });
    await expect(wrong).rejects.toThrow("MAC verification failed");

    for (const [algorithm, level] of SIGNING) {
      const keyId = await create(algorithm, level);
      const key = { name: version(keyId), data: plaintext };
      const message = plaintext;
      const { signature } = await provider().sign({ keyId, message });
      // r‖s is ours; the service and Tink have DER.
      const isEcdsa = algorithm.startsWith("EC_SIGN_") && algorithm !== "EC_SIGN_ED25519";
      const theirs = await python("tink_sign", key);
      // Tink verifies no Ed25519 and no secp256k1.
      if (/ED25519|SECP256K1/.test(algorithm)) continue;
      await python("tink_verify", { ...key, signature: theirs });
      await python("tink_verify", {
        ...key,
        signature: isEcdsa ? signatureToDer(signature) : signature,
      });
    }
  });

  test("the provider sends what Google's client sends", async () => {
    const name = await createAead();
    const signing = await create("EC_SIGN_P256_SHA256");
    const edwards = await create("EC_SIGN_ED25519");
    const macs = await create("HMAC_SHA256", "SOFTWARE", "MAC");
    const digest = new Uint8Array(32).fill(7);
    const { ciphertext } = await provider().encrypt({ keyId: name, plaintext, aad });
    const { mac } = await provider().mac({ keyId: macs, message: plaintext });
    const own = provider();
    const withAad = { additional_authenticated_data: aad };
    const pairs: [() => Promise<unknown>, () => Promise<unknown>][] = [
      [
        () => own.encrypt({ keyId: name, plaintext, aad }),
        () => call("encrypt", { name, plaintext, ...withAad }),
      ],
      [
        () => own.decrypt({ keyId: name, ciphertext, aad }),
        () => call("decrypt", { name, ciphertext, ...withAad }),
      ],
      [
        () => own.sign({ keyId: version(signing), digest }),
        () => call("asymmetric_sign", { name: version(signing), digest: { sha256: digest } }),
      ],
      [
        () => own.sign({ keyId: version(edwards), message: plaintext }),
        () => call("asymmetric_sign", { name: version(edwards), data: plaintext }),
      ],
      [
        () => own.mac({ keyId: version(macs), message: plaintext }),
        () => call("mac_sign", { name: version(macs), data: plaintext }),
      ],
      [
        () => own.verifyMac({ keyId: version(macs), message: plaintext, mac }),
        () => call("mac_verify", { name: version(macs), data: plaintext, mac }),
      ],
      [
        () => own.random({ bytes: 32 }),
        () =>
          call("generate_random_bytes", { location, length_bytes: 32, protection_level: "HSM" }),
      ],
      [
        () => own.rotateKey({ keyId: signing }),
        () => call("create_crypto_key_version", { parent: signing, crypto_key_version: {} }),
      ],
    ];
    for (const [ours, theirs] of pairs) {
      const sent = await recorded(ours);
      const [wanted] = await recorded(theirs);
      expect(sent).toContainEqual(wanted);
    }
  });

  /** Requests as the stand-in decoded them, without fields that are empty, and the header that routes them. */
  const recorded = async (run: () => Promise<unknown>): Promise<object[]> => {
    const requests: object[] = [];
    const first = bench.standIn.headers.length;
    const request = (message: Message): Message => {
      requests.push(JSON.parse(JSON.stringify(message, (_, value) => value ?? undefined)));
      return message;
    };
    bench.standIn.rules.push({ request });
    await run();
    bench.standIn.rules.length = 0;
    return requests.map((each, index) => ({
      request: each,
      // Both are legal: Google's client in Node encodes the slashes, the one in Python does not.
      routing: decodeURIComponent(bench.standIn.headers[first + index]?.routing ?? ""),
    }));
  };
});

const webHash = (hash: string): string => hash.replace("sha", "SHA-");
