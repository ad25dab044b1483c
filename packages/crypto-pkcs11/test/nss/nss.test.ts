import { createPkcs11Provider, type Pkcs11Provider } from "@lango/crypto-pkcs11";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeNss } from "../support/nss.ts";
import { withToken } from "../support/softhsm.ts";

const message = new Uint8Array([1, 2, 3]);

withToken("nss", () => {
  let nss: ReturnType<typeof makeNss>;
  let provider: Required<Pkcs11Provider>;
  beforeAll(async () => {
    nss = makeNss();
    const made = await createPkcs11Provider({ ...nss, keyWrap: "aes-kwp" });
    provider = made as Required<Pkcs11Provider>;
  });
  afterAll(async () => {
    await provider?.close();
    nss?.remove();
  });

  test("RSA-OAEP with SHA-256 binds AAD and purpose", async () => {
    const { keyId } = await provider.createKey({ algorithm: "rsa-2048", usage: "encryption" });
    const plaintext = new Uint8Array(158).fill(7);
    const { ciphertext } = await provider.encrypt({ keyId, plaintext, aad: message });
    expect(await provider.decrypt({ keyId, ciphertext, aad: message })).toEqual(plaintext);
    for (const wrong of [
      () => provider.decrypt({ keyId, ciphertext }),
      () => provider.unwrapKey({ keyId, wrappedKey: ciphertext }),
      () => provider.decrypt({ keyId, ciphertext: ciphertext.slice(0, -1), aad: message }),
      () => provider.decrypt({ keyId, ciphertext: ciphertext.fill(1, 9, 10), aad: message }),
    ]) {
      await expect(wrong()).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    }
  });

  test("AES key wrap under the number of PKCS#11 3.0", async () => {
    const { keyId } = await provider.createKey({ algorithm: "aes-256-gcm", usage: "encryption" });
    const key = new Uint8Array(32).fill(9);
    const { wrappedKey } = await provider.wrapKey({ keyId, key });
    expect(await provider.unwrapKey({ keyId, wrappedKey })).toEqual(key);
  });

  test("has no secp256k1, and says so", () => {
    expect(provider.capabilities.keyAlgorithms).not.toContain("secp256k1");
    expect(provider.capabilities.keyAlgorithms).toContain("ecdsa-p384");
  });
});
