import { KeyManagementServiceClient } from "@google-cloud/kms";
import { googleAuthLibrary, grpc } from "google-gax";
import { afterAll, beforeAll, expect, test } from "vitest";
import { crc } from "./stand-in/crc.ts";
import { withStandIn } from "./with-stand-in.ts";

// A stand-in that takes everything would show nothing: what it refuses is tested with the SDK alone.
const bench = withStandIn();
const data = Buffer.from("sixteen bytes ..");
const crc32c = { value: crc(data) };
let client: KeyManagementServiceClient;
beforeAll(() => {
  client = new KeyManagementServiceClient({
    apiEndpoint: "127.0.0.1",
    port: Number(new URL(bench.standIn.grpcUrl).port),
    sslCreds: grpc.credentials.createInsecure(),
    authClient: new googleAuthLibrary.PassThroughClient(),
  });
});
afterAll(() => client.close());

const refuses = async (call: Promise<unknown>, code: number, message: RegExp): Promise<void> => {
  await expect(call).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
};

test("it compares checksums, and verifies nothing that has none", async () => {
  const name = await bench.addKey();
  const [plain] = await client.encrypt({ name, plaintext: data });
  expect(plain.verifiedPlaintextCrc32c).toBe(false);
  const [checked] = await client.encrypt({ name, plaintext: data, plaintextCrc32c: crc32c });
  expect(checked.verifiedPlaintextCrc32c).toBe(true);
  const wrong = client.encrypt({ name, plaintext: data, plaintextCrc32c: { value: 1 } });
  await refuses(
    wrong,
    3,
    /checksum in field plaintext_crc32c did not match the data in field plaintext/,
  );
});

test("it keeps keys and versions, purposes and states apart", async () => {
  const aead = await bench.addKey();
  const signing = await bench.addKey("EC_SIGN_P256_SHA256");
  const { ciphertext } = (await client.encrypt({ name: aead, plaintext: data }))[0];
  const version = `${aead}/cryptoKeyVersions/1`;
  await refuses(client.decrypt({ name: version, ciphertext: ciphertext! }), 3, /Invalid name/);
  await refuses(client.getPublicKey({ name: signing }), 3, /Invalid name/);
  await refuses(client.getPublicKey({ name: version }), 9, /purpose/);
  await refuses(client.macSign({ name: `${signing}/cryptoKeyVersions/1`, data }), 9, /purpose/);
  await refuses(client.encrypt({ name: `${aead}x`, plaintext: data }), 5, /not found/);
  bench.setState(aead, 1, "DISABLED");
  await refuses(client.encrypt({ name: aead, plaintext: data }), 9, /current state is: DISABLED/);
  const decrypt = client.decrypt({ name: aead, ciphertext: ciphertext! });
  await refuses(decrypt, 9, /current state is: DISABLED/);
});

test("it has the sizes of the service", async () => {
  const software = await bench.addKey();
  const hsm = await bench.addKey("GOOGLE_SYMMETRIC_ENCRYPTION", "HSM");
  const encrypt = (name: string, plain: number, aad: number) =>
    client.encrypt({
      name,
      plaintext: Buffer.alloc(plain),
      additionalAuthenticatedData: Buffer.alloc(aad),
    });
  await encrypt(software, 65_536, 65_536);
  await refuses(encrypt(software, 65_537, 0), 3, /larger/);
  await refuses(encrypt(software, 0, 65_537), 3, /larger/);
  await encrypt(hsm, 8000, 192);
  await refuses(encrypt(hsm, 8000, 193), 3, /8 KiB/);
  const location = software.slice(0, software.indexOf("/keyRings"));
  const random = { location, lengthBytes: 7, protectionLevel: "HSM" as const };
  await refuses(client.generateRandomBytes(random), 3, /8 to 1024/);
  const inSoftware = { location, lengthBytes: 8, protectionLevel: "SOFTWARE" as const };
  await refuses(client.generateRandomBytes(inSoftware), 3, /HSM/);
});

test("it signs only what an algorithm takes", async () => {
  const p256 = `${await bench.addKey("EC_SIGN_P256_SHA256")}/cryptoKeyVersions/1`;
  const ed = `${await bench.addKey("EC_SIGN_ED25519")}/cryptoKeyVersions/1`;
  await refuses(client.asymmetricSign({ name: p256, data }), 3, /sha256 digest/);
  const sha384 = { sha384: Buffer.alloc(48) };
  await refuses(client.asymmetricSign({ name: p256, digest: sha384 }), 3, /sha256 digest/);
  const sha256 = { sha256: Buffer.alloc(32) };
  await refuses(client.asymmetricSign({ name: ed, digest: sha256 }), 3, /data, not a digest/);
});
