import {
  type Bytes,
  CryptoError,
  concat,
  createAesKey,
  fromHex,
  openAesGcm,
  randomBytesFresh,
  sealAesGcmInto,
  TAG_BYTES,
} from "@lango/crypto-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const hex = (text: string): Bytes => {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new Error("bad hex in a test");
  return bytes;
};

// D. McGrew, J. Viega, "The Galois/Counter Mode of Operation (GCM)", Appendix B, test cases 13 to 16: the 256-bit keys
// with 96-bit IVs, submitted to NIST for SP 800-38D.
const KEY = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const IV = "cafebabefacedbaddecaf888";
const LONG_PLAINTEXT =
  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
const LONG_CIPHERTEXT =
  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
const VECTORS = [
  {
    name: "test case 13",
    key: "00".repeat(32),
    iv: "00".repeat(12),
    plaintext: "",
    aad: "",
    ciphertext: "",
    tag: "530f8afbc74536b9a963b4f1c4cb738b",
  },
  {
    name: "test case 14",
    key: "00".repeat(32),
    iv: "00".repeat(12),
    plaintext: "00".repeat(16),
    aad: "",
    ciphertext: "cea7403d4d606b6e074ec5d3baf39d18",
    tag: "d0d1c8a799996bf0265b98b5d48ab919",
  },
  {
    name: "test case 15",
    key: KEY,
    iv: IV,
    plaintext: LONG_PLAINTEXT,
    aad: "",
    ciphertext: LONG_CIPHERTEXT,
    tag: "b094dac5d93471bdec1a502270e3cc6c",
  },
  {
    name: "test case 16",
    key: KEY,
    iv: IV,
    plaintext: LONG_PLAINTEXT.slice(0, 120),
    aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    ciphertext: LONG_CIPHERTEXT.slice(0, 120),
    tag: "76fc6ece0f4e1768cddf8853bb2d551b",
  },
];

const seal = (
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Bytes => {
  const out = new Uint8Array(plaintext.length + TAG_BYTES);
  sealAesGcmInto(createAesKey(key), nonce, aad, plaintext, out, 0);
  return out;
};

const codeOf = (run: () => unknown): unknown => {
  try {
    run();
    return "ok";
  } catch (error) {
    return error instanceof CryptoError ? error.code : error;
  }
};

describe("AES-256-GCM", () => {
  it.each(VECTORS)("gives the published values of $name", (vector) => {
    const [key, iv, aad, plaintext] = [vector.key, vector.iv, vector.aad, vector.plaintext].map(
      hex,
    ) as [Bytes, Bytes, Bytes, Bytes];
    const sealed = hex(vector.ciphertext + vector.tag);
    expect(seal(key, iv, aad, plaintext)).toEqual(sealed);
    expect(openAesGcm(createAesKey(key), iv, aad, sealed)).toEqual(plaintext);
  });

  const key = randomBytesFresh(32);
  const nonce = randomBytesFresh(12);
  const aad = randomBytesFresh(20);
  const plaintext = randomBytesFresh(33);
  const sealed = seal(key, nonce, aad, plaintext);

  it("refuses every changed bit of ciphertext and tag, AAD, nonce and key", () => {
    const inputs = { key, nonce, aad, sealed };
    for (const name of Object.keys(inputs) as (keyof typeof inputs)[]) {
      for (let bit = 0; bit < inputs[name].length * 8; bit++) {
        const changed = { ...inputs, [name]: new Uint8Array(inputs[name]) };
        changed[name][bit >>> 3]! ^= 1 << (bit & 7);
        expect(
          codeOf(() =>
            openAesGcm(createAesKey(changed.key), changed.nonce, changed.aad, changed.sealed),
          ),
        ).toBe("ERR_DECRYPTION_FAILED");
      }
    }
  });

  it("refuses every truncation, so a short tag is no tag", () => {
    const aesKey = createAesKey(key);
    for (let length = 0; length < sealed.length; length++) {
      expect(codeOf(() => openAesGcm(aesKey, nonce, aad, sealed.subarray(0, length)))).toBe(
        "ERR_DECRYPTION_FAILED",
      );
    }
    // The first 4 bytes of the right tag, which Node alone would take: the tag of an empty plaintext.
    const empty = seal(key, nonce, aad, new Uint8Array());
    for (const length of [4, 8, 12, 13, 14, 15]) {
      expect(codeOf(() => openAesGcm(aesKey, nonce, aad, empty.subarray(0, length)))).toBe(
        "ERR_DECRYPTION_FAILED",
      );
    }
  });

  it("says the same whatever is wrong", () => {
    const message = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        return (error as Error).message;
      }
      return "ok";
    };
    const aesKey = createAesKey(key);
    const messages = new Set([
      message(() => openAesGcm(aesKey, nonce, new Uint8Array(), sealed)),
      message(() => openAesGcm(createAesKey(new Uint8Array(32)), nonce, aad, sealed)),
      message(() => openAesGcm(aesKey, nonce, aad, new Uint8Array(3))),
    ]);
    expect([...messages]).toEqual([
      "Decryption failed: wrong key, wrong associated data, or altered bytes",
    ]);
  });

  it("round-trips anything, leaves inputs as they are, and gives memory of its own", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.uint8Array({ maxLength: 50 }),
        (text, data) => {
          const before = [new Uint8Array(text), new Uint8Array(data)];
          const out = seal(key, nonce, data, text);
          const opened = openAesGcm(createAesKey(key), nonce, data, out);
          expect([text, data]).toEqual(before);
          expect(opened).toEqual(new Uint8Array(text));
          expect(Object.getPrototypeOf(opened)).toBe(Uint8Array.prototype);
          expect(opened.buffer.byteLength).toBe(opened.length);
        },
      ),
    );
  });

  it("writes at the offset and nowhere else, and takes a plaintext that lies in the output", () => {
    const out = new Uint8Array(60).fill(7);
    out.set(plaintext, 5);
    sealAesGcmInto(createAesKey(key), nonce, aad, out.subarray(5, 38), out, 5);
    expect(out.subarray(5, 54)).toEqual(sealed);
    expect(concat(out.subarray(0, 5), out.subarray(54))).toEqual(new Uint8Array(11).fill(7));
  });

  it("refuses keys, nonces and outputs of a wrong size", () => {
    for (const length of [0, 16, 24, 31, 33]) {
      expect(codeOf(() => createAesKey(new Uint8Array(length)))).toBe("ERR_INVALID_ARGUMENT");
    }
    const aesKey = createAesKey(key);
    for (const length of [0, 8, 11, 13, 16]) {
      const wrong = new Uint8Array(length);
      const out = new Uint8Array(100);
      expect(codeOf(() => sealAesGcmInto(aesKey, wrong, aad, plaintext, out, 0))).toBe(
        "ERR_INVALID_ARGUMENT",
      );
      expect(codeOf(() => openAesGcm(aesKey, wrong, aad, sealed))).toBe("ERR_INVALID_ARGUMENT");
    }
    const small = new Uint8Array(plaintext.length + TAG_BYTES + 1);
    expect(codeOf(() => sealAesGcmInto(aesKey, nonce, aad, plaintext, small, 1))).toBe("ok");
    expect(codeOf(() => sealAesGcmInto(aesKey, nonce, aad, plaintext, small, 2))).toBe(
      "ERR_INVALID_ARGUMENT",
    );
  });

  it("copies the key, so the caller may zero it", () => {
    const copy = new Uint8Array(key);
    const aesKey = createAesKey(copy);
    copy.fill(0);
    expect(openAesGcm(aesKey, nonce, aad, sealed)).toEqual(plaintext);
  });
});
