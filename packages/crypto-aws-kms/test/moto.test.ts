import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeProvider } from "@lango/crypto-conformance/vitest";
import { afterAll, expect, test, vi } from "vitest";
import type { Server } from "../../../tooling/services/server.ts";
import { createAwsKmsProvider } from "../src/index.ts";
import { makeKeys } from "./keys.ts";
import { testMore } from "./more.ts";
import { type Settings, settingsFor, startMoto } from "./servers.ts";

let server: Server | undefined;
const start = async (): Promise<Settings> => {
  server ??= await startMoto();
  return settingsFor(server);
};
afterAll(() => server?.stop());
testMore("moto", start);

test("the example of the README runs, with the settings of the SDK's own chain", async () => {
  const folder = fileURLToPath(new URL("..", import.meta.url));
  const [, example] =
    /```ts\n([\s\S]*?)```/.exec(readFileSync(join(folder, "README.md"), "utf8")) ?? [];
  expect(example).toContain("assert.");
  const settings = await start();
  const provider = createAwsKmsProvider({ ...settings, region: "eu-central-1" });
  await provider.createKey({ keyId: "notes", algorithm: "aes-256-gcm", usage: "encryption" });
  await provider.close();
  vi.stubEnv("AWS_ENDPOINT_URL_KMS", settings.endpoint);
  vi.stubEnv("AWS_ACCESS_KEY_ID", settings.credentials.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", settings.credentials.secretAccessKey);
  // Inside the package, so that it finds the packages that a user would have installed.
  const temporary = mkdtempSync(join(folder, "test", ".readme-"));
  try {
    writeFileSync(join(temporary, "example.ts"), example!);
    await import(join(temporary, "example.ts"));
  } finally {
    vi.unstubAllEnvs();
    rmSync(temporary, { recursive: true });
  }
});

const digest = "moto 5.2.1 ignores MessageType DIGEST and hashes the digest again";
const wrongKey =
  "moto 5.2.1 answers AccessDeniedException, where AWS answers IncorrectKeyException or InvalidCiphertextException";

const schemes = [
  "ecdsa-p256-sha256",
  "ecdsa-p384-sha384",
  "ecdsa-secp256k1-sha256",
  "rsa-pss-sha256",
  "rsa-pss-sha384",
  "rsa-pss-sha512",
  "rsa-pkcs1-sha256",
  "rsa-pkcs1-sha384",
  "rsa-pkcs1-sha512",
];

describeProvider("aws-kms on moto", async () => {
  const settings = await start();
  return {
    provider: createAwsKmsProvider(settings),
    keys: await makeKeys(settings),
    serverFaults: {
      ...Object.fromEntries(
        schemes.flatMap((scheme) => [
          [`sign ${scheme}: node:crypto and openssl accept the signature, in its encoding`, digest],
          [`sign ${scheme}: a message and its digest agree`, digest],
        ]),
      ),
      "sign: without an algorithm, takes one that the key allows": digest,
      "decrypt: every altered byte is ERR_DECRYPTION_FAILED": wrongKey,
      "decrypt: the ciphertext of another key is ERR_DECRYPTION_FAILED": wrongKey,
      "decrypt: a wrong key and altered bytes give the same message": wrongKey,
      "unwrapKey: every altered byte is ERR_DECRYPTION_FAILED": wrongKey,
      "unwrapKey: a key wrapped under another key is ERR_DECRYPTION_FAILED": wrongKey,
      "rewrapKey: what it made is ERR_DECRYPTION_FAILED under the old key": wrongKey,
      "rewrapKey: altered bytes and a key wrapped under another key are ERR_DECRYPTION_FAILED":
        wrongKey,
      "disabled key: its use is ERR_KEY_DISABLED": "moto 5.2.1 encrypts with disabled keys",
      "rotateKey: a new version is the current one, and older ciphertexts open":
        "moto 5.2.1 describes keys without CurrentKeyMaterialId, so no rotation shows",
    },
  };
});
