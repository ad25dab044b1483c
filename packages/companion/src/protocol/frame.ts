import { CryptoError, randomBytesFresh, toBase64Url } from "@lango/crypto-core";
import type { Role } from "../peers.ts";
import { parseHello } from "./hello.ts";
import { fault, parseJson } from "./json.ts";
import { parseWireError, type WireError } from "./wire-error.ts";

/** Largest message, either way. */
export const MAX_FRAME_BYTES = 262_144;
/** Largest `ttl`, and longest time that a person may take. */
export const MAX_TTL_MS = 600_000;

/** Params or a result as they are on the wire: bytes are base64. */
export type Wire = Readonly<Record<string, unknown>>;

export interface Hello {
  readonly version: string;
  readonly role: Role;
  /** 64 bytes in base64. */
  readonly proof: string;
}

/** What one message says, whatever its format. */
export type Frame =
  | { readonly kind: "hello"; readonly hello: Hello }
  | {
      readonly kind: "request";
      readonly id: string;
      readonly method: string;
      readonly params: Wire;
      /** Milliseconds that the other side waits while nobody is asked. */
      readonly ttl: number;
    }
  | { readonly kind: "result"; readonly id: string; readonly result: Wire }
  | { readonly kind: "failure"; readonly id: string | null; readonly error: WireError }
  /** `waiting`: a person is being asked; `cancel`: the answer is not wanted any more. */
  | { readonly kind: "waiting" | "cancel"; readonly id: string };

/** Turns frames to text and back, for one connection: it counts. */
export interface Codec {
  /**
   * The frame, when there is one for the channel, and what must be sent back at once.
   *
   * @throws CryptoError `ERR_UNAVAILABLE`: the channel must be closed.
   */
  parse(text: string): { readonly frame?: Frame; readonly reply?: string };
  /**
   * `undefined` when the format has no such frame, and needs none.
   *
   * @throws CryptoError `ERR_INVALID_ARGUMENT` when the frame is too large; `ERR_UNSUPPORTED` when the format has no word for it.
   */
  format(frame: Frame): string | undefined;
}

/** 128 random bits in base64url: 22 characters. */
export const newRequestId = (): string => toBase64Url(randomBytesFresh(16));

// The last of 22 characters holds two bits.
const REQUEST_ID = /^[A-Za-z0-9_-]{21}[AQgw]$/;

export const isRequestId = (value: unknown): value is string =>
  typeof value === "string" && REQUEST_ID.test(value);

type Members = Readonly<Record<string, unknown>>;

export const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Frames of version 1: JSON-RPC 2.0, each with its number. */
export const createCodec = (): Codec => {
  let sent = 0;
  let received = 0;
  return {
    parse(text) {
      const members = parseJson(text);
      if (!isMembers(members)) throw fault("a frame is no object; batches are not taken");
      if (members["jsonrpc"] !== "2.0") throw fault("a frame is not of JSON-RPC 2.0");
      if (members["seq"] !== received) {
        throw fault(`frame ${received} was due: frames were repeated, reordered or left out`);
      }
      received++;
      return { frame: parseMembers(members) };
    },
    format(frame) {
      const text = JSON.stringify({ jsonrpc: "2.0", seq: sent, ...toMembers(frame) });
      checkSize(text);
      sent++;
      return text;
    },
  };
};

const parseMembers = (members: Members): Frame => {
  if (members["method"] === undefined) return parseAnswer(members);
  const { id, method, params, ttl } = members;
  if (typeof method !== "string") throw fault("a method is no string");
  if (!isMembers(params)) throw fault("a frame has no params");
  if (id !== undefined) {
    expectMembers(members, 6);
    if (!isRequestId(id)) throw fault("an id is not 128 bits in base64url");
    if (!isTtl(ttl)) throw fault("a ttl is out of range");
    return { kind: "request", id, method, params, ttl };
  }
  expectMembers(members, 4);
  if (method === "hello") return { kind: "hello", hello: parseHello(params) };
  if (method !== "waiting" && method !== "cancel") throw fault("an unknown notification");
  if (Object.keys(params).length !== 1 || !isRequestId(params["id"])) {
    throw fault("a notification has other params than an id");
  }
  return { kind: method, id: params["id"] };
};

const parseAnswer = (members: Members): Frame => {
  expectMembers(members, 4);
  const { id, result, error } = members;
  if (error !== undefined) {
    if (id !== null && !isRequestId(id)) throw fault("an id is not 128 bits in base64url");
    return { kind: "failure", id, error: parseWireError(error) };
  }
  if (!isRequestId(id)) throw fault("an id is not 128 bits in base64url");
  if (!isMembers(result)) throw fault("an answer has neither result nor error");
  return { kind: "result", id, result };
};

const expectMembers = (members: Members, count: number): void => {
  if (Object.keys(members).length !== count) throw fault("a frame has unknown members");
};

const isTtl = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_TTL_MS;

const toMembers = (frame: Frame): Members => {
  switch (frame.kind) {
    case "hello":
      return { method: "hello", params: frame.hello };
    case "request":
      return { id: frame.id, method: frame.method, params: frame.params, ttl: frame.ttl };
    case "result":
      return { id: frame.id, result: frame.result };
    case "failure":
      return { id: frame.id, error: frame.error };
    default:
      return { method: frame.kind, params: { id: frame.id } };
  }
};

/** @throws CryptoError `ERR_INVALID_ARGUMENT`. */
export const checkSize = (text: string): void => {
  // At most three bytes of UTF-8 for a unit of UTF-16.
  if (text.length * 3 <= MAX_FRAME_BYTES) return;
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_FRAME_BYTES) return;
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    `A message of ${bytes} bytes does not fit into ${MAX_FRAME_BYTES}`,
  );
};
