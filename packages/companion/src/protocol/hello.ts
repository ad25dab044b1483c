import { type KeyObject, sign, verify } from "node:crypto";
import { type Bytes, concat, fromBase64, toBase64, utf8 } from "@lango/crypto-core";
import type { Role } from "../peers.ts";
import type { Hello } from "./frame.ts";
import { fault } from "./json.ts";

/** The versions of the protocol, the best one first: each is a WebSocket subprotocol. */
export const VERSIONS: readonly string[] = ["lango-companion.1"];

/** @throws CryptoError `ERR_UNAVAILABLE`. */
export const parseHello = (params: Readonly<Record<string, unknown>>): Hello => {
  const { version, role, proof } = params;
  if (
    Object.keys(params).length !== 3 ||
    typeof version !== "string" ||
    (role !== "agent" && role !== "companion") ||
    typeof proof !== "string"
  ) {
    throw fault("a hello without version, role and proof");
  }
  return { version, role, proof };
};

/** What is signed: TLS proved the key of the connection; this binds the role to it, so that no other program of the same key does. */
const statement = (role: Role, binding: Bytes): Bytes =>
  concat(utf8("lango/v1/companion/hello"), utf8(role), binding);

export const makeHello = (
  version: string,
  role: Role,
  binding: Bytes,
  privateKey: KeyObject,
): Hello => {
  const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
  return {
    version,
    role,
    proof: toBase64(sign("sha256", statement(role, binding), key)),
  };
};

/**
 * Checks the hello of the other side against what TLS and the upgrade agreed on.
 *
 * @throws CryptoError `ERR_UNAVAILABLE`.
 */
export const checkHello = (
  hello: Hello,
  expected: {
    readonly version: string;
    readonly role: Role;
    readonly binding: Bytes;
    readonly publicKey: KeyObject;
  },
): void => {
  if (hello.version !== expected.version) throw fault("its hello is of another version");
  if (hello.role !== expected.role) throw fault("its hello is of another role");
  const proof = fromBase64(hello.proof);
  const key = { key: expected.publicKey, dsaEncoding: "ieee-p1363" } as const;
  if (
    proof === undefined ||
    !verify("sha256", statement(expected.role, expected.binding), key, proof)
  ) {
    throw fault("its hello is not of this connection");
  }
};
