import { type CryptoProvider, concat, fromHex, toHex, utf8 } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksumAddress } from "../src/signer/address.ts";
import { decodeRlp, type RlpItem } from "../src/signer/rlp.ts";
import { makeRig } from "./support/signer.ts";

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const hex = (text: string) => fromHex(text.replace(/\s/g, "")) ?? expect.fail("no hexadecimal");

/** RLP as the yellow paper's appendix B has it, written apart from the decoder. */
type Tree = Uint8Array<ArrayBuffer> | readonly Tree[];
const rlp = (item: Tree): Uint8Array<ArrayBuffer> => {
  const isBytes = item instanceof Uint8Array;
  const body = isBytes ? item : concat(...item.map(rlp));
  if (isBytes && body.length === 1 && body[0]! < 0x80) return body;
  const base = isBytes ? 0x80 : 0xc0;
  if (body.length < 56) return concat(Uint8Array.of(base + body.length), body);
  const length = number(body.length);
  return concat(Uint8Array.of(base + 55 + length.length), length, body);
};
const number = (value: number | bigint): Uint8Array<ArrayBuffer> => {
  const digits = value.toString(16);
  return Number(value) === 0
    ? new Uint8Array()
    : hex(digits.padStart(digits.length + (digits.length % 2), "0"));
};

/** Lists within lists. */
const nested = (depth: number): Uint8Array<ArrayBuffer> => {
  let bytes = hex("c0");
  for (let i = 0; i < depth; i++) {
    const length = bytes.length < 56 ? [] : number(bytes.length);
    const first = bytes.length < 56 ? 0xc0 + bytes.length : 0xf7 + length.length;
    bytes = concat(Uint8Array.of(first, ...length), bytes);
  }
  return bytes;
};

const walletWith = async (secret: string, extra: Partial<CryptoProvider> = {}) => {
  const versions = [{ version: 1, material: hex(secret) }];
  const local = createLocalProvider({ keys: [{ id: "eth", algorithm: "secp256k1", versions }] });
  const keys = { ...local, ...extra };
  return { local, rig: await makeRig({ keys, policy: { wallets: ["eth"] } }) };
};

/** Who signed, by an implementation of recovery that is not ours. */
const signerOf = (signature: Uint8Array, digest: Uint8Array) => {
  const recovered = concat(signature.subarray(64), signature.subarray(0, 64));
  const compressed = secp256k1.recoverPublicKey(recovered, digest, { prehash: false });
  const point = secp256k1.Point.fromBytes(compressed).toBytes(false).subarray(1);
  return `0x${toHex(keccak_256(point)).slice(-40)}`;
};

describe("addresses", () => {
  test.each([
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
  ])("EIP-55: %s", (address) => {
    expect(checksumAddress(hex(address.slice(2)))).toBe(address);
  });

  test("wallet.address, of the default wallet and by name", async () => {
    // The key of the examples of web3.js.
    const { rig } = await walletWith(
      "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
    );
    const wanted = { keyId: "eth", address: "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23" };
    expect(await rig.ask({ method: "wallet.address", params: {} })).toEqual(wanted);
    expect(await rig.ask({ method: "wallet.address", params: { keyId: "eth" } })).toEqual(wanted);
    expect(rig.questions).toEqual([]);
  });
});

describe("wallet.sign", () => {
  // The example of EIP-155: nonce 9, 20 gwei, 21000 gas, 1 ether to 0x3535…35, chain 1.
  const eip155 = hex(`
    ec 09 8504a817c800 825208 943535353535353535353535353535353535353535
    880de0b6b3a7640000 80 01 80 80`);
  const eip155Key = "46".repeat(32);

  test("the example of EIP-155", async () => {
    const { rig } = await walletWith(eip155Key);
    const signed = await rig.ask({ method: "wallet.sign", params: { transaction: eip155 } });
    expect(signed).toMatchObject({ keyId: "eth", keyVersion: "1" });
    // r and s of the signed transaction in its text; v = 37 = 35 + 2 × chain + bit.
    expect(toHex(signed.signature)).toBe(
      "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276" +
        "67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83" +
        "00",
    );
    expect(rig.questions[0]?.lines.slice(1)).toEqual([
      "Asks for: wallet.sign, key eth",
      "Chain 1, nonce 9, legacy",
      "To: 0x3535353535353535353535353535353535353535",
      "Value: 1 ether, 1000000000000000000 wei",
      "Fee: at most 0.00042 ether",
      "Signs the hash: 0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53",
    ]);
  });

  test("a message of EIP-191: the example of web3.js", async () => {
    const { rig } = await walletWith(
      "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
    );
    const { signature } = await rig.ask({
      method: "wallet.sign",
      params: { message: utf8("Some data") },
    });
    expect(toHex(signature)).toBe(
      "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd" +
        "6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a029" +
        // v = 28 = 27 + bit.
        "01",
    );
    expect(rig.questions[0]?.lines.slice(3)).toEqual([
      "It says: Some data",
      "Signs the hash: 0x1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655",
    ]);
  });

  const to = new Uint8Array(20).fill(0x35);
  const head = [number(10), number(7), number(1), number(30_000_000_000n), number(100_000), to];
  const call = hex(`a9059cbb${"00".repeat(64)}`);
  const tail = [number(5n * 10n ** 17n), call, []];
  const typed: Record<number, Tree[]> = {
    1: [...head.slice(0, 2), ...head.slice(3), ...tail],
    2: [...head, ...tail],
    3: [...head, ...tail, number(1), []],
    4: [...head, ...tail, []],
  };
  const bytesOf = (type: number, fields = typed[type] ?? []) =>
    concat(Uint8Array.of(type), rlp(fields));

  test.each([1, 2, 3, 4])("a transaction of type %i", async (type) => {
    const { rig } = await walletWith(eip155Key);
    const transaction = bytesOf(type);
    const { signature } = await rig.ask({ method: "wallet.sign", params: { transaction } });
    expect(signerOf(signature, keccak_256(transaction))).toBe(
      "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f",
    );
    const [question] = rig.questions;
    expect(question?.dangerous).toBe(type === 4);
    expect(question?.lines.slice(2)).toEqual([
      `Chain 10, nonce 7, type ${type}`,
      `To: 0x${"35".repeat(20)}`,
      "Value: 0.5 ether, 500000000000000000 wei",
      "Fee: at most 0.003 ether",
      "Data: 68 bytes, calls 0xa9059cbb",
      ...(type === 3 ? ["The fees of its blobs come on top (EIP-4844)"] : []),
      ...(type === 4 ? ["It hands accounts over to the code of contracts (EIP-7702)"] : []),
      `Signs the hash: 0x${toHex(keccak_256(transaction))}`,
    ]);
  });

  test("s is low and the recovery bit right, whatever the provider makes", async () => {
    const bits = new Set<number>();
    const order = secp256k1.Point.CURVE().n;
    const { local } = await walletWith(eip155Key);
    for (let i = 0; i < 24; i++) {
      const sign: CryptoProvider["sign"] = async (request) => {
        const made = await local.sign!(request);
        if (i % 2 === 0) return made;
        // The other value of s, which a provider may give as well.
        const s = order - BigInt(`0x${toHex(made.signature.subarray(32))}`);
        const high = hex(s.toString(16).padStart(64, "0"));
        return { ...made, signature: concat(made.signature.subarray(0, 32), high) };
      };
      const { rig } = await walletWith(eip155Key, { sign });
      const transaction = bytesOf(2, [number(1), number(i), ...(typed[2] ?? []).slice(2)]);
      const { signature } = await rig.ask({ method: "wallet.sign", params: { transaction } });
      expect(BigInt(`0x${toHex(signature.subarray(32, 64))}`) <= order / 2n).toBe(true);
      expect(signerOf(signature, keccak_256(transaction))).toBe(
        "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f",
      );
      bits.add(signature[64]!);
    }
    expect(bits).toEqual(new Set([0, 1]));
  });

  test("a signature of another key is not given out", async () => {
    const { local: stranger } = await walletWith("01".repeat(32));
    const { rig } = await walletWith(eip155Key, { sign: (request) => stranger.sign!(request) });
    const asked = { method: "wallet.sign", params: { transaction: eip155 } } as const;
    await expect(rig.ask(asked)).rejects.toEqual(code("ERR_INTERNAL"));
  });

  test.each([
    ["EIP-712, which would be a permit", hex(`1901${"00".repeat(64)}`), "ERR_UNSUPPORTED"],
    ["EIP-191, version 0", hex(`1900${"00".repeat(20)}`), "ERR_UNSUPPORTED"],
    [
      "an authorization of EIP-7702",
      concat(Uint8Array.of(5), rlp([number(1), to, number(0)])),
      "ERR_UNSUPPORTED",
    ],
    ["nothing", new Uint8Array(), "ERR_UNSUPPORTED"],
    [
      "a legacy transaction of every chain",
      rlp([...head.slice(1), ...tail.slice(0, 1), call].slice(0, 6)),
      "ERR_UNSUPPORTED",
    ],
    [
      "one that is signed",
      rlp([...head.slice(1, 3), number(1), to, number(1), call, number(37), number(5), number(6)]),
      "ERR_INVALID_ARGUMENT",
    ],
    ["a field too few", bytesOf(2, typed[2]?.slice(1)), "ERR_INVALID_ARGUMENT"],
    [
      "a short address",
      bytesOf(2, [...head.slice(0, 5), to.slice(1), ...tail]),
      "ERR_INVALID_ARGUMENT",
    ],
    [
      "a number with a zero before it",
      bytesOf(2, [Uint8Array.of(0, 1), ...head.slice(1), ...tail]),
      "ERR_INVALID_ARGUMENT",
    ],
    ["a list for a number", bytesOf(2, [[], ...head.slice(1), ...tail]), "ERR_INVALID_ARGUMENT"],
    ["bytes behind it", concat(bytesOf(2), Uint8Array.of(0)), "ERR_INVALID_ARGUMENT"],
    ["a cut one", bytesOf(2).slice(0, -1), "ERR_INVALID_ARGUMENT"],
    ["a string for the list", concat(Uint8Array.of(2), rlp(call)), "ERR_INVALID_ARGUMENT"],
  ])("refused, and nobody is asked: %s", async (_, transaction, wanted) => {
    const { rig } = await walletWith(eip155Key);
    const asked = { method: "wallet.sign", params: { transaction } } as const;
    await expect(rig.ask(asked)).rejects.toEqual(code(wanted));
    expect(rig.questions).toEqual([]);
  });

  test("a wallet's key signs nothing else, and no other key is a wallet's", async () => {
    const rig = await makeRig({ policy: { wallets: ["coins", "sign"] } });
    const message = utf8("m");
    const blind = { method: "sign", params: { keyId: "coins", message } } as const;
    await expect(rig.ask(blind)).rejects.toEqual(code("ERR_KEY_USAGE"));
    const other = { method: "wallet.sign", params: { keyId: "tag", message } } as const;
    await expect(rig.ask(other)).rejects.toEqual(code("ERR_KEY_NOT_FOUND"));
    const wrongCurve = { method: "wallet.sign", params: { keyId: "sign", message } } as const;
    await expect(rig.ask(wrongCurve)).rejects.toEqual(code("ERR_KEY_USAGE"));
    const none = await makeRig();
    const unnamed = { method: "wallet.address", params: {} } as const;
    await expect(none.ask(unnamed)).rejects.toEqual(code("ERR_KEY_NOT_FOUND"));
    for (const params of [{}, { message, transaction: eip155 }]) {
      const wrong = { method: "wallet.sign", params: { keyId: "coins", ...params } } as const;
      await expect(rig.ask(wrong)).rejects.toEqual(code("ERR_INVALID_ARGUMENT"));
    }
  });
});

describe("RLP", () => {
  test("the examples of the Ethereum wiki", () => {
    const dog = utf8("dog");
    const lorem = utf8("Lorem ipsum dolor sit amet, consectetur adipisicing elit");
    expect(decodeRlp(hex("83646f67"))).toEqual(dog);
    expect(decodeRlp(hex("c88363617483646f67"))).toEqual([utf8("cat"), dog]);
    expect(decodeRlp(hex("80"))).toEqual(new Uint8Array());
    expect(decodeRlp(hex("c0"))).toEqual([]);
    expect(decodeRlp(hex("820400"))).toEqual(Uint8Array.of(4, 0));
    expect(decodeRlp(hex("c7c0c1c0c3c0c1c0"))).toEqual([[], [[]], [[], [[]]]]);
    expect(decodeRlp(concat(hex("b838"), lorem))).toEqual(lorem);
  });

  test("whatever it takes has this one form; anything else is an error of ours", () => {
    const leaf = fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.uint8Array({ minLength: 54, maxLength: 58 }),
      fc.uint8Array({ minLength: 254, maxLength: 300 }),
    );
    const tree = fc.letrec<{ node: RlpItem }>((tie) => ({
      node: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("node"), { maxLength: 5 })),
    })).node;
    fc.assert(
      fc.property(tree, (item) => {
        expect(decodeRlp(rlp(item as Tree))).toEqual(item);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        let item: RlpItem;
        try {
          item = decodeRlp(bytes);
        } catch (error) {
          expect(error).toEqual(code("ERR_INVALID_ARGUMENT"));
          return;
        }
        expect(rlp(item as Tree)).toEqual(new Uint8Array(bytes));
      }),
      { numRuns: 20_000 },
    );
    // No length makes it read far, no nesting deep.
    for (const bytes of [hex("bfffffffffffffffff"), hex("ffffffffffffffffff"), nested(5000)]) {
      expect(() => decodeRlp(bytes)).toThrow(code("ERR_INVALID_ARGUMENT"));
    }
  });
});
