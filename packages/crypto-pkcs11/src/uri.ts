import { fail } from "./errors.ts";

/** Which key a key id names. All given attributes have to fit; byte strings are hexadecimal. */
export interface KeyName {
  readonly token?: string;
  readonly serial?: string;
  readonly manufacturer?: string;
  readonly model?: string;
  /** CKA_LABEL. */
  readonly object?: string;
  /** CKA_ID, hexadecimal. */
  readonly id?: string;
  /** Class of the object: a key pair is named by its private key. */
  readonly type?: "private" | "secret-key";
}

const TEXT_ATTRIBUTES = ["token", "serial", "manufacturer", "model", "object"] as const;
const TYPES = ["private", "secret-key"] as const;

// RFC 7512 §2.3: pk11-pchar, without the percent sign, which starts an escape.
const PLAIN = /^[A-Za-z0-9\-._~:[\]@!$'()*+,=&]$/;
const LOOKS_LIKE_ATTRIBUTE = /^[a-z][a-z-]*=/;

/**
 * Reads a key id: the path attributes of RFC 7512 (`token=…;serial=…;object=…;id=%01%02;type=private`), or a bare label. A
 * label that has a `;` or begins like an attribute is written as `object=…`.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for an attribute that is unknown, given twice or ill-formed, and for a
 *   list that names no key.
 */
export function parseKeyId(keyId: string): KeyName {
  if (!keyId.includes(";") && !LOOKS_LIKE_ATTRIBUTE.test(keyId)) return { object: keyId };
  const name: Record<string, string> = {};
  for (const attribute of keyId.split(";")) {
    const equals = attribute.indexOf("=");
    if (equals < 0) throw invalid("has a part that is no attribute");
    const key = attribute.slice(0, equals);
    const value = attribute.slice(equals + 1);
    if (Object.hasOwn(name, key)) throw invalid(`has the attribute ${key} twice`);
    name[key] = readValue(key, value);
  }
  if (name["object"] === undefined && name["id"] === undefined) {
    throw invalid("names no key: it needs object or id");
  }
  return name as KeyName;
}

/** The one form that stored URIs hold: token, serial, object, id and type, in this order; empty ones are left out. */
export function formatKeyId(name: KeyName): string {
  const { token = "", serial = "", object = "", id = "", type = "" } = name;
  const attributes: readonly (readonly [string, string])[] = [
    ["token", encodeText(token)],
    ["serial", encodeText(serial)],
    ["object", encodeText(object)],
    ["id", id.replaceAll(/../g, "%$&")],
    ["type", type],
  ];
  return attributes
    .filter(([, value]) => value !== "")
    .map(([key, value]) => `${key}=${value}`)
    .join(";");
}

function readValue(key: string, value: string): string {
  if (key === "id") {
    const bytes = decode(value, key);
    if (bytes.length === 0) throw invalid("has an empty id");
    return bytes.toString("hex");
  }
  if (key === "type") {
    if (TYPES.some((type) => type === value)) return value;
    throw invalid(`has a type that is none of ${TYPES.join(", ")}`);
  }
  if (TEXT_ATTRIBUTES.some((name) => name === key)) {
    const bytes = decode(value, key);
    const text = bytes.toString("utf8");
    if (text === "" || !Buffer.from(text).equals(bytes)) throw invalid(`has an ill-formed ${key}`);
    return text;
  }
  // Not repeated in the message: whatever it is, it may have been meant as a PIN.
  throw invalid("has an unknown attribute");
}

/** Percent-decoding; every character that is not allowed plain has to be escaped. */
function decode(value: string, key: string): Buffer {
  const bytes: number[] = [];
  for (let position = 0; position < value.length; position++) {
    const character = value.charAt(position);
    if (PLAIN.test(character)) {
      bytes.push(character.charCodeAt(0));
      continue;
    }
    const hex = value.slice(position + 1, position + 3);
    if (character !== "%" || !/^[0-9A-Fa-f]{2}$/.test(hex)) {
      throw invalid(`has an ill-formed ${key}`);
    }
    bytes.push(Number.parseInt(hex, 16));
    position += 2;
  }
  return Buffer.from(bytes);
}

function encodeText(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /^[A-Za-z0-9\-._~]$/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

const invalid = (fault: string): Error =>
  fail("ERR_INVALID_ARGUMENT", `PKCS#11 key id ${fault}`, {
    hint: "A key id is a label, or attributes such as token=…;object=…;id=%01;type=private",
  });
