import type { Command, Option } from "../cli/command.ts";

const KEY: Option = { type: "string", value: "URI", summary: "the key (local:default)" };
const INPUT: Readonly<Record<string, Option>> = {
  in: { type: "string", value: "FILE", summary: "read FILE instead of stdin (-)" },
};
const OUTPUT: Readonly<Record<string, Option>> = {
  out: { type: "string", value: "FILE", summary: "write FILE instead of stdout (-), mode 0600" },
  base64: { type: "boolean", summary: "print base64 also when stdout is no terminal" },
};
const DIGEST: Option = { type: "boolean", summary: "the input is the digest, not the message" };
const ENCODING: Option = {
  type: "string",
  value: "FORM",
  choices: ["p1363", "der"],
  summary: "form of an ECDSA signature: p1363 (r‖s, the default) or der",
};
const SIGNING_KEY: Option = { ...KEY, summary: "the signing key" };
const AAD: Option = {
  type: "string",
  value: "TEXT",
  summary: "bind the result to TEXT, which decrypt must be given again",
};
/** Those of local keys; a test compares them with the provider's. */
const ALGORITHMS = [
  ...["aes-256-gcm", "hmac-sha256", "hmac-sha384", "hmac-sha512"],
  ...["ecdsa-p256", "ecdsa-p384", "secp256k1", "ed25519"],
];
/** Those that only providers have. */
const RSA = ["rsa-2048", "rsa-3072", "rsa-4096"];
const STREAM: Option = { type: "boolean", summary: "take any size, in pieces" };

export const CRYPTO_COMMANDS: readonly Command[] = [
  {
    path: "keys list",
    summary: "list the keys; not verified: needs no passphrase",
    examples: ["lango keys list", "lango keys list --json"],
    unlocks: true,
    load: () => import("../commands/keys-list.ts"),
  },
  {
    path: "keys create",
    summary: "create a key",
    examples: [
      "lango keys create reports --type encryption",
      "lango keys create release --type signing --algorithm ed25519",
      "lango keys create cloud --type encryption --provider aws-kms:alias/lango",
    ],
    positionals: [{ name: "NAME" }],
    options: {
      type: {
        type: "string",
        value: "TYPE",
        choices: ["encryption", "signing"],
        summary: "encryption or signing",
      },
      algorithm: {
        type: "string",
        value: "NAME",
        choices: [...ALGORITHMS, ...RSA],
        summary: "hmac-sha256 is the default for signing",
      },
      provider: {
        type: "string",
        value: "URI",
        summary: "register a key that a provider has, instead of a local one",
      },
      create: { type: "boolean", summary: "with --provider: make the key there first" },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/keys-create.ts"),
  },
  {
    path: "keys rotate",
    summary: "make a new version of a key; older ones still decrypt and verify",
    examples: ["lango keys rotate reports"],
    positionals: [{ name: "KEY" }],
    unlocks: true,
    writes: true,
    load: () => import("../commands/keys-rotate.ts"),
  },
  {
    path: "keys describe",
    summary: "show one key; not verified: needs no passphrase",
    examples: ["lango keys describe local:default"],
    positionals: [{ name: "KEY" }],
    unlocks: true,
    load: () => import("../commands/keys-describe.ts"),
  },
  {
    path: "keys public-key",
    summary: "print the public key as PEM",
    examples: ["lango keys public-key local:release > release.pem"],
    positionals: [{ name: "KEY" }],
    unlocks: true,
    load: () => import("../commands/keys-public-key.ts"),
  },
  {
    path: "crypto encrypt",
    summary: "encrypt stdin or a file",
    examples: [
      "lango crypto encrypt --in report.pdf --out report.pdf.lango",
      "tar c folder | lango crypto encrypt --stream --out folder.tar.lango",
    ],
    options: {
      key: { ...KEY, multiple: true, summary: "a key that can decrypt it (local:default)" },
      aad: AAD,
      ...INPUT,
      ...OUTPUT,
      stream: STREAM,
    },
    unlocks: true,
    load: () => import("../commands/crypto-encrypt.ts"),
  },
  {
    path: "crypto decrypt",
    summary: "decrypt stdin or a file",
    examples: ["lango crypto decrypt --in report.pdf.lango --out report.pdf"],
    options: {
      key: { ...KEY, summary: "use this key only (default: the one named in the input)" },
      aad: AAD,
      ...INPUT,
      ...OUTPUT,
      stream: {
        ...STREAM,
        summary:
          "take any size; of stdin, pieces that were verified are written before a later fault is found",
      },
      reveal: { type: "boolean", summary: "put the plaintext into the JSON document" },
    },
    unlocks: true,
    load: () => import("../commands/crypto-decrypt.ts"),
  },
  {
    path: "crypto sign",
    summary: "sign stdin or a file; with an HMAC key: compute its mac",
    examples: ["lango crypto sign --key local:release --in app.tgz --out app.tgz.sig"],
    options: { key: SIGNING_KEY, digest: DIGEST, encoding: ENCODING, ...INPUT, ...OUTPUT },
    unlocks: true,
    load: () => import("../commands/crypto-sign.ts"),
  },
  {
    path: "crypto verify",
    summary: "verify a signature or mac; exit 8 when it is wrong",
    examples: ["lango crypto verify --key local:release --signature app.tgz.sig --in app.tgz"],
    options: {
      key: SIGNING_KEY,
      signature: { type: "string", value: "FILE", summary: "the signature, raw or base64" },
      digest: DIGEST,
      encoding: ENCODING,
      ...INPUT,
    },
    unlocks: true,
    load: () => import("../commands/crypto-verify.ts"),
  },
  {
    path: "crypto hash",
    summary: "hash stdin or a file",
    examples: ["lango crypto hash --in app.tgz --hex"],
    options: {
      algorithm: {
        type: "string",
        value: "NAME",
        choices: ["sha256", "sha384", "sha512"],
        summary: "sha256 (the default), sha384 or sha512",
      },
      ...INPUT,
      ...OUTPUT,
      hex: { type: "boolean", summary: "print hexadecimal digits" },
    },
    load: () => import("../commands/crypto-hash.ts"),
  },
];
