import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type SignatureAlgorithm, signatureToDer } from "@lango/crypto-core";

const exec = promisify(execFile);

/** The `openssl` command, a verifier that shares no code of ours. */
export interface Openssl {
  /** E.g. `OpenSSL 3.0.19`. */
  readonly version: string;
  /** Tells whether it accepts a signature r‖s (or raw) of a message under a SubjectPublicKeyInfo. */
  verify(
    algorithm: SignatureAlgorithm,
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean>;
}

/** Finds the `openssl` command of OpenSSL 3 or later, or `undefined`. */
export async function findOpenssl(): Promise<Openssl | undefined> {
  const version = await exec("openssl", ["version"]).then(
    ({ stdout }) => /^OpenSSL (?:[3-9]|\d\d)\S*/.exec(stdout)?.[0],
    () => undefined,
  );
  return version === undefined ? undefined : { version, verify };
}

async function verify(
  algorithm: SignatureAlgorithm,
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "lango-openssl-"));
  try {
    const path = { key: "key.der", message: "message", signature: "signature" };
    const encoded = algorithm.startsWith("ecdsa") ? signatureToDer(signature) : signature;
    await writeFile(join(folder, path.key), publicKey);
    await writeFile(join(folder, path.message), message);
    await writeFile(join(folder, path.signature), encoded);
    // `-rawin`: the input is the message, to be hashed as the scheme says.
    const input = ["-rawin", "-in", path.message, "-sigfile", path.signature];
    const key = ["-pubin", "-inkey", path.key, "-keyform", "DER"];
    const args = ["pkeyutl", "-verify", ...key, ...input, ...schemeOptions(algorithm)];
    return await exec("openssl", args, { cwd: folder }).then(
      ({ stdout }) => /^Signature Verified Successfully/m.test(stdout),
      () => false,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function schemeOptions(algorithm: SignatureAlgorithm): string[] {
  if (algorithm === "ed25519") return [];
  const digest = ["-digest", algorithm.slice(algorithm.lastIndexOf("-") + 1)];
  if (!algorithm.startsWith("rsa-pss")) return digest;
  const pss = ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"];
  return [...digest, ...pss];
}
