import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { join } from "node:path";
import { type Bytes, CryptoError, toPlain } from "@lango/crypto-core";
import { isP256, keyFingerprint } from "./fingerprint.ts";
import { cleanName } from "./names.ts";
import { createPrivate, makePrivateFolder, readPrivate } from "./private-files.ts";

/** What a device is to others: a P-256 key, and a certificate that it signed for itself. */
export interface Identity {
  /** DER. */
  readonly certificate: Bytes;
  readonly certificatePem: string;
  readonly privateKey: KeyObject;
  /** PKCS#8 in PEM, as `node:tls` takes it. */
  readonly privateKeyPem: string;
  /** SHA-256 of the public key (SubjectPublicKeyInfo) in base64url, 43 characters. */
  readonly fingerprint: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

export interface LoadIdentityOptions {
  /** Its own folder, which only its owner may enter; made with mode 0700 when it is not there. One for each role. */
  readonly folder: string;
  /** What a new certificate is called. */
  readonly name: string;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

/** The files of an identity: the one in use, or the one that shall follow it. */
export interface IdentityFiles {
  readonly key: string;
  readonly certificate: string;
}

/** @param stem - `identity`, or `next` while a renewal goes on. */
export const identityFiles = (folder: string, stem: "identity" | "next"): IdentityFiles => ({
  key: join(folder, `${stem}.key`),
  certificate: join(folder, `${stem}.crt`),
});

/**
 * The identity of this device; made at the first call, once, also when several processes start together: `identity.key` and
 * `identity.crt` (PEM, mode 0600). A key without its certificate gets a new one, because the pin is of the key alone. Nothing
 * else is ever mended or replaced here: a new key would be a stranger to every paired device.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY` for a file that is damaged, a certificate without its key, or two that do not
 *   fit; `ERR_CONFIG` when others may read a file, or the certificate has expired; `ERR_ACCESS_DENIED`, `ERR_UNAVAILABLE`.
 */
export const loadIdentity = async (options: LoadIdentityOptions): Promise<Identity> => {
  await makePrivateFolder(options.folder);
  return loadOrMake(identityFiles(options.folder, "identity"), options);
};

/** The identity in the files, which are made when they are not there. */
export const loadOrMake = async (
  files: IdentityFiles,
  { name, clock = Date.now }: Pick<LoadIdentityOptions, "name" | "clock">,
): Promise<Identity> => {
  const now = clock();
  // Once more, because another process may have ended a renewal between the two files.
  const identity = (await readBoth(files, name, now)) ?? (await readBoth(files, name, now));
  if (!identity)
    throw damaged(`${files.certificate} is not the certificate of ${files.key}`, files);
  if (identity.notAfter > now) return identity;
  const date = new Date(identity.notAfter).toISOString().slice(0, 10);
  throw new CryptoError("ERR_CONFIG", `The certificate ${files.certificate} expired on ${date}`, {
    context: {
      hint: `Remove ${files.certificate}: a new one is made for the same key, and pairings stay`,
    },
  });
};

/** `undefined` when the two do not fit. */
const readBoth = async (
  files: IdentityFiles,
  name: string,
  now: number,
): Promise<Identity | undefined> => {
  const privateKeyPem = (await readPrivate(files.key)) ?? (await makeKey(files));
  const privateKey = readKey(files.key, privateKeyPem);
  const certificatePem =
    (await readPrivate(files.certificate)) ??
    (await makeCertificateFile(files, privateKey, name, now));
  return assemble(files, { privateKey, privateKeyPem, certificatePem });
};

const makeKey = async (files: IdentityFiles): Promise<string> => {
  if ((await readPrivate(files.certificate)) !== undefined) {
    // Written by another process since, or lost.
    const late = await readPrivate(files.key);
    if (late !== undefined) return late;
    throw damaged(`${files.key} is missing, its certificate is there`, files);
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  if (await createPrivate(files.key, pem)) return pem;
  return (await readPrivate(files.key)) ?? gone(files.key);
};

const makeCertificateFile = async (
  files: IdentityFiles,
  privateKey: KeyObject,
  name: string,
  now: number,
): Promise<string> => {
  const { makeCertificate } = await import("./certificate.ts");
  const pem = await makeCertificate(privateKey, cleanName(name), now);
  if (await createPrivate(files.certificate, pem)) return pem;
  return (await readPrivate(files.certificate)) ?? gone(files.certificate);
};

const readKey = (path: string, pem: string): KeyObject => {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // Its cause could hold parts of the key.
    throw damaged(`${path} holds no private key`);
  }
  if (!isP256(key)) throw damaged(`${path} holds a key that is not on P-256`);
  return key;
};

const assemble = (
  files: IdentityFiles,
  {
    privateKey,
    privateKeyPem,
    certificatePem,
  }: Omit<Identity, "certificate" | "fingerprint" | "notAfter">,
): Identity | undefined => {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certificatePem);
  } catch (cause) {
    throw damaged(`${files.certificate} holds no certificate`, files, cause);
  }
  if (!certificate.checkPrivateKey(privateKey)) return undefined;
  return {
    certificate: toPlain(certificate.raw),
    certificatePem,
    privateKey,
    privateKeyPem,
    fingerprint: keyFingerprint(certificate.publicKey),
    notAfter: certificate.validToDate.getTime(),
  };
};

const damaged = (message: string, files?: IdentityFiles, cause?: unknown): CryptoError => {
  const both = files ? ` ${files.key} and ${files.certificate}` : " it and its certificate";
  const hint = `Put it back from a backup; or move${both} away and pair every device again`;
  return new CryptoError("ERR_INTEGRITY", message, { context: { hint }, cause });
};

const gone = (path: string): never => {
  throw new CryptoError("ERR_UNAVAILABLE", `${path} was removed while it was read`);
};
