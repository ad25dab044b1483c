import type { CryptoProvider } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import type { GcpKmsTransport } from "../src/index.ts";
import type { Message } from "./stand-in/kms.ts";
import { Fault } from "./stand-in/resources.ts";
import type { FaultRule } from "./stand-in/server.ts";
import { withStandIn } from "./with-stand-in.ts";

const bench = withStandIn();
const message = new TextEncoder().encode("sixteen bytes ..");
const aad = new TextEncoder().encode("aad");

type Provider = Required<CryptoProvider>;
interface Case {
  readonly call: (provider: Provider) => Promise<unknown>;
  /** Checksums of the request, then of the response, then the flags. */
  readonly request: readonly string[];
  readonly response: readonly string[];
  readonly flags: readonly string[];
  /** Whether the response says which key it is about. */
  readonly named: boolean;
}

const casesOf = async (): Promise<Record<string, Case>> => {
  const aead = await bench.addKey();
  const p256 = await bench.addKey("EC_SIGN_P256_SHA256");
  const ed = await bench.addKey("EC_SIGN_ED25519");
  const hmac = await bench.addKey("HMAC_SHA256");
  const provider = bench.provider();
  const { ciphertext } = await provider.encrypt({ keyId: aead, plaintext: message, aad });
  const { mac } = await provider.mac({ keyId: hmac, message });
  return {
    encrypt: {
      call: (each) => each.encrypt({ keyId: aead, plaintext: message, aad }),
      request: ["plaintext", "additionalAuthenticatedData"],
      response: ["ciphertext"],
      flags: ["verifiedPlaintextCrc32c", "verifiedAdditionalAuthenticatedDataCrc32c"],
      named: true,
    },
    decrypt: {
      call: (each) => each.decrypt({ keyId: aead, ciphertext, aad }),
      request: ["ciphertext", "additionalAuthenticatedData"],
      response: ["plaintext"],
      flags: [],
      named: false,
    },
    "asymmetricSign of a digest": {
      call: (each) => each.sign({ keyId: p256, message }),
      request: ["digest"],
      response: ["signature"],
      flags: ["verifiedDigestCrc32c"],
      named: true,
    },
    "asymmetricSign of data": {
      call: (each) => each.sign({ keyId: ed, message }),
      request: ["data"],
      response: ["signature"],
      flags: ["verifiedDataCrc32c"],
      named: true,
    },
    macSign: {
      call: (each) => each.mac({ keyId: hmac, message }),
      request: ["data"],
      response: ["mac"],
      flags: ["verifiedDataCrc32c"],
      named: true,
    },
    macVerify: {
      call: (each) => each.verifyMac({ keyId: hmac, message, mac }),
      request: ["data", "mac"],
      response: [],
      flags: ["verifiedDataCrc32c", "verifiedMacCrc32c", "verifiedSuccessIntegrity"],
      named: true,
    },
    getPublicKey: {
      call: (each) => each.getPublicKey({ keyId: p256 }),
      request: [],
      response: ["pem"],
      flags: [],
      named: true,
    },
    generateRandomBytes: {
      call: (each) => each.random({ bytes: 32 }),
      request: [],
      response: ["data"],
      flags: [],
      named: false,
    },
  };
};

/** A bit of a field turned over, on its way in or out. */
const turned = (field: string) => (sent: Message) => {
  const value = sent[field];
  if (field === "digest") return { ...sent, digest: { sha256: flip(value.sha256) } };
  if (typeof value === "string") return { ...sent, [field]: value.replace("A", "B") };
  return { ...sent, [field]: flip(value) };
};
const flip = (bytes: Uint8Array): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[0]! ^= 1;
  return copy;
};
const changed = (field: string, value: unknown) => (sent: Message) => ({ ...sent, [field]: value });

/** Every way in which one exchange can go wrong. */
const faultsOf = ({ request, response, flags, named }: Case): [string, Partial<FaultRule>][] => [
  ...request.flatMap((field): [string, Partial<FaultRule>][] => [
    [`${field} altered on its way to the service`, { request: turned(field) }],
    [`the checksum of ${field} lost on its way`, { request: changed(`${field}Crc32c`, null) }],
  ]),
  ...response.flatMap((field): [string, Partial<FaultRule>][] => [
    [`${field} altered on its way back`, { response: turned(field) }],
    [`a response without the checksum of ${field}`, { response: changed(`${field}Crc32c`, null) }],
    [`a wrong checksum of ${field}`, { response: changed(`${field}Crc32c`, { value: "1" }) }],
  ]),
  ...flags.flatMap((flag): [string, Partial<FaultRule>][] => [
    [`${flag} false`, { response: changed(flag, false) }],
    [`${flag} absent`, { response: changed(flag, undefined) }],
  ]),
  ...(named
    ? ([
        [
          "the name of another key",
          { response: (sent) => ({ ...sent, name: swapped(sent["name"]) }) },
        ],
        ["no name", { response: changed("name", "") }],
      ] as [string, Partial<FaultRule>][])
    : []),
];
const swapped = (name: string): string => name.replace(/cryptoKeys\/[^/]+/, "cryptoKeys/other");

// What decrypt sends has no flag that comes back: the service compares, and that its checksum was lost nobody can tell.
const UNSEEN = (method: string, fault: string): boolean =>
  method === "decrypt" && fault.startsWith("the checksum of");

describe.each(["grpc", "rest"] satisfies GcpKmsTransport[])("trap 2b.1, over %s", (transport) => {
  test("every altered, unchecked or misnamed exchange ends as ERR_INTEGRITY after 4 attempts", async () => {
    const provider = bench.provider({ transport });
    let tried = 0;
    for (const [name, each] of Object.entries(await casesOf())) {
      const method = name.split(" ", 1)[0]!;
      // Fills what is remembered, so that the counts are those of the call alone.
      bench.standIn.rules.length = 0;
      await each.call(provider);
      for (const [fault, rule] of faultsOf(each)) {
        if (UNSEEN(method, fault)) continue;
        bench.standIn.rules.splice(0, Number.POSITIVE_INFINITY, { method, ...rule });
        bench.standIn.calls.length = 0;
        await expect(each.call(provider), `${name}, ${fault}`).rejects.toMatchObject({
          code: "ERR_INTEGRITY",
          retryable: false,
        });
        expect(bench.count(method), `${name}, ${fault}: attempts`).toBe(4);
        tried++;
      }
    }
    expect(tried).toBe(65);
  });

  test("a mismatch that passes is not noticed", async () => {
    const provider = bench.provider({ transport });
    for (const [name, each] of Object.entries(await casesOf())) {
      const method = name.split(" ", 1)[0]!;
      for (const [fault, rule] of faultsOf(each)) {
        bench.standIn.rules.splice(0, Number.POSITIVE_INFINITY, { method, times: 3, ...rule });
        await expect(each.call(provider), `${name}, ${fault}`).resolves.toBeDefined();
      }
    }
  });
});

test("trap 2b.1: a name that is only the beginning of ours, or longer, is another", async () => {
  const keyId = await bench.addKey();
  const provider = bench.provider();
  for (const name of [`${keyId}/cryptoKeyVersions/1/x`, `${keyId}x/cryptoKeyVersions/1`, keyId]) {
    bench.standIn.rules.splice(0, 9, { method: "encrypt", response: changed("name", name) });
    await expect(provider.encrypt({ keyId, plaintext: message })).rejects.toMatchObject({
      code: "ERR_INTEGRITY",
    });
  }
});

test("trap 2b.1: a version that was named must have done it", async () => {
  const key = await bench.addKey();
  await bench.addVersions(key, 1);
  bench.standIn.rules.push({
    method: "encrypt",
    response: changed("name", `${key}/cryptoKeyVersions/2`),
  });
  const keyId = `${key}/cryptoKeyVersions/1`;
  await expect(bench.provider().encrypt({ keyId, plaintext: message })).rejects.toMatchObject({
    code: "ERR_INTEGRITY",
  });
});

test("trap 2b.1: an INVALID_ARGUMENT that is no complaint of a checksum is not repeated", async () => {
  const keyId = await bench.addKey();
  bench.standIn.rules.push({
    method: "encrypt",
    fault: new Fault("INVALID_ARGUMENT", "Too large."),
  });
  await expect(bench.provider().encrypt({ keyId, plaintext: message })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
  expect(bench.count("encrypt")).toBe(1);
});

test("metadata of another key is refused too", async () => {
  const key = await bench.addKey();
  const provider = bench.provider();
  const calls: [string, () => Promise<unknown>][] = [
    ["getCryptoKey", () => provider.describeKey({ keyId: key })],
    ["getCryptoKeyVersion", () => provider.describeKey({ keyId: `${key}/cryptoKeyVersions/1` })],
    ["getCryptoKey", () => provider.rotateKey({ keyId: key })],
    ["createCryptoKeyVersion", () => provider.rotateKey({ keyId: key })],
    ["updateCryptoKeyPrimaryVersion", () => provider.rotateKey({ keyId: key })],
    [
      "createCryptoKey",
      () => provider.createKey({ algorithm: "aes-256-gcm", usage: "encryption" }),
    ],
  ];
  for (const [method, call] of calls) {
    const response = (sent: Message) => ({
      ...sent,
      name: swapped(sent["name"]),
      ...(sent["primary"] && {
        primary: { ...sent["primary"], name: swapped(sent["primary"].name) },
      }),
    });
    bench.standIn.rules.splice(0, 9, { method, response });
    await expect(call(), method).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
  }
  bench.standIn.rules.splice(0, 9, { method: "getCryptoKey", response: changed("name", "x") });
  await expect(provider.health({ keyId: key })).resolves.toMatchObject({ healthy: false });
});
