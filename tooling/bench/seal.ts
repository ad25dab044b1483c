import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from "node:crypto";
import {
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node";
import { createDataKey, newDataKeyId, openValue, sealValue } from "@lango/envelope";
import * as iron from "iron-webcrypto";
import { CompactEncrypt, compactDecrypt } from "jose";
import { compareThroughput, type Measure } from "./paired.ts";

const KIB = 1024;
const SIZES = [
  { label: "32B", bytes: 32, seal: 0.95, open: 0.85 },
  { label: "1KiB", bytes: KIB, seal: 0.95, open: 0.85 },
  { label: "64KiB", bytes: 64 * KIB, seal: 0.9, open: 0.9 },
  { label: "1MiB", bytes: KIB * KIB, seal: 0.85, open: 0.9 },
] as const;

const material = randomBytes(32);
const key = createDataKey(material, newDataKeyId());
const bareKey = createSecretKey(material);
const aad = new Uint8Array(randomBytes(64));

/** The fastest honest loop over node:crypto: KeyObject, fresh IV, AAD, 16-byte tag, one contiguous output. */
const bareSeal = (plaintext: Uint8Array): Buffer => {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", bareKey, iv, { authTagLength: 16 });
  cipher.setAAD(aad);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([iv, ciphertext, cipher.getAuthTag()]);
};

const bareOpen = (sealed: Uint8Array): Buffer => {
  const end = sealed.length - 16;
  const decipher = createDecipheriv("aes-256-gcm", bareKey, sealed.subarray(0, 12), {
    authTagLength: 16,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(end));
  const plaintext = decipher.update(sealed.subarray(12, end));
  decipher.final();
  return plaintext;
};

/** The shipped path of an application: one await a call, as `vault.secrets` and the client make it. */
const sealAsync = async (plaintext: Uint8Array) => sealValue(key, plaintext, aad);
const openAsync = async (sealed: Uint8Array) => openValue(key, sealed, aad);

const againstBare = async (): Promise<Measure[]> => {
  const measures: Measure[] = [];
  for (const size of SIZES) {
    const plaintext = new Uint8Array(randomBytes(size.bytes));
    const ourSealed = sealValue(key, plaintext, aad);
    const bareSealed = bareSeal(plaintext);
    const common = { unit: "MiB/s", amount: size.bytes / KIB / KIB };
    measures.push(
      await compareThroughput({
        ...common,
        name: `seal-${size.label}-vs-bare`,
        ours: () => sealAsync(plaintext),
        theirs: async () => bareSeal(plaintext),
        atLeast: size.seal,
      }),
      await compareThroughput({
        ...common,
        name: `open-${size.label}-vs-bare`,
        ours: () => openAsync(ourSealed),
        theirs: async () => bareOpen(bareSealed),
        atLeast: size.open,
      }),
    );
  }
  return measures;
};

const againstPeers = async (): Promise<Measure[]> => {
  const plaintext = new Uint8Array(randomBytes(KIB));
  const ourSealed = sealValue(key, plaintext, aad);

  const aws = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const keyring = new RawAesKeyringNode({
    keyName: "bench",
    keyNamespace: "bench",
    unencryptedMasterKey: new Uint8Array(material),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const encryptionContext = { aad: Buffer.from(aad).toString("base64") };
  const awsSealed = (await aws.encrypt(keyring, plaintext, { encryptionContext })).result;

  const jwe = (bytes: Uint8Array) =>
    new CompactEncrypt(bytes).setProtectedHeader({ alg: "dir", enc: "A256GCM" }).encrypt(bareKey);
  const jweSealed = await jwe(plaintext);

  const password = Buffer.from(material).toString("hex");
  const text = Buffer.from(plaintext).toString("base64");
  const ironSeal = () => iron.seal(text, password, iron.defaults);
  const ironSealed = await ironSeal();

  const peers = [
    {
      name: "aws-encryption-sdk",
      seal: () => aws.encrypt(keyring, plaintext, { encryptionContext }),
      open: () => aws.decrypt(keyring, awsSealed),
      atLeast: [300, 400],
    },
    {
      name: "jose",
      seal: () => jwe(plaintext),
      open: () => compactDecrypt(jweSealed, bareKey),
      atLeast: [10, 7],
    },
    {
      name: "iron-webcrypto",
      seal: ironSeal,
      open: () => iron.unseal(ironSealed, password, iron.defaults),
      atLeast: [25, 30],
    },
  ] as const;

  const measures: Measure[] = [];
  for (const peer of peers) {
    const common = { unit: "MiB/s", amount: KIB / KIB / KIB };
    measures.push(
      await compareThroughput({
        ...common,
        name: `seal-1KiB-vs-${peer.name}`,
        ours: () => sealAsync(plaintext),
        theirs: peer.seal,
        atLeast: peer.atLeast[0],
      }),
      await compareThroughput({
        ...common,
        name: `open-1KiB-vs-${peer.name}`,
        ours: () => openAsync(ourSealed),
        theirs: peer.open,
        atLeast: peer.atLeast[1],
      }),
    );
  }
  return measures;
};

/** Sealing and opening values against a bare loop and against three libraries that people use for it. */
export const measureSeal = async (): Promise<Measure[]> => [
  ...(await againstBare()),
  ...(await againstPeers()),
];
