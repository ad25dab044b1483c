import { CryptoError, ERROR_CODES } from "@lango/crypto-core";
import { type Codec, checkSize, type Frame, isMembers, isRequestId, type Wire } from "./frame.ts";
import { fault, parseJson } from "./json.ts";
import { SEED_EVENTS, type SeedEvent } from "./seed-events.ts";
import { FAILED, METHOD_NOT_FOUND, toWireError, type WireError } from "./wire-error.ts";

const TTL_MS = 30_000;
const HELLO = "companion.hello";

interface Keys {
  /** SubjectPublicKeyInfo in base64, as the certificates have it. */
  readonly own: string;
  readonly other: string;
}

interface Asked {
  readonly event: SeedEvent;
  readonly params: Wire;
}

/**
 * The agent's side of the old protocol: it sends events, and acknowledges what the companion calls. There are no heartbeats, no
 * cancelling and no numbers of frames; TLS alone keeps the order.
 */
export const createSeedAgentCodec = (keys: Keys): Codec => {
  const asked = new Map<string, Asked>();

  const toFrame = (method: string, params: Wire): Frame | undefined => {
    if (method === HELLO) {
      if (params["publicKey"] !== keys.other) throw fault("its hello shows another key than TLS");
      return { kind: "hello", hello: { version: "", role: "companion", proof: "" } };
    }
    const id = params["id"] ?? params["requestId"];
    const question = typeof id === "string" ? asked.get(id) : undefined;
    // Late, a second time, or never asked: dropped, as the old protocol does.
    if (typeof id !== "string" || question?.event.response !== method) return undefined;
    asked.delete(id);
    const { error } = params;
    if (error !== undefined && error !== "") {
      if (typeof error !== "string") throw fault("an error is no text");
      return { kind: "failure", id, error: parseSeedError(error) };
    }
    if (params["alwaysAllow"] === true) {
      const message = "The companion allows for good, which is not taken: every action is decided";
      return { kind: "failure", id, error: toWireError(new CryptoError("ERR_DENIED", message)) };
    }
    return { kind: "result", id, result: question.event.toResult(params, question.params) };
  };

  return {
    parse(text) {
      const members = parseJson(text);
      if (!isMembers(members)) throw fault("a frame is no object");
      const { id = null, method, params } = members;
      if (typeof method !== "string" || !isMembers(params)) throw fault("a frame is no call");
      const known = method === HELLO || SEED_EVENTS.some((event) => event.response === method);
      if (!known) {
        const error = { code: METHOD_NOT_FOUND, message: "There is no such method" };
        return { reply: JSON.stringify({ id, error }) };
      }
      const frame = toFrame(method, params);
      const reply = JSON.stringify({ id, result: { status: "ok" } });
      return frame === undefined ? { reply } : { frame, reply };
    },
    format(frame) {
      if (frame.kind === "cancel") asked.delete(frame.id);
      if (frame.kind !== "request") return undefined;
      const { id, method, params } = frame;
      for (const event of SEED_EVENTS) {
        const payload = event.method === method ? event.toPayload(params) : undefined;
        if (payload === undefined) continue;
        const text = JSON.stringify({
          type: "event",
          event: event.request,
          payload: { [event.requestId]: id, ...payload },
        });
        checkSize(text);
        asked.set(id, { event, params });
        return text;
      }
      throw new CryptoError("ERR_UNSUPPORTED", `The old protocol has no word for this ${method}`);
    },
  };
};

/** The companion's side of the old protocol: it gets events, and calls the agent with what it answers. */
export const createSeedCompanionCodec = (keys: Keys): Codec => {
  const asked = new Map<string, SeedEvent>();
  let calls = 0;

  const call = (method: string, params: Wire): string => {
    const text = JSON.stringify({ id: String(calls), method, params });
    checkSize(text);
    calls++;
    return text;
  };

  return {
    parse(text) {
      const members = parseJson(text);
      if (!isMembers(members)) throw fault("a frame is no object");
      // What acknowledges an answer of ours.
      if (members["type"] !== "event") return {};
      const { event: name, payload } = members;
      const event = SEED_EVENTS.find(({ request }) => request === name);
      if (event === undefined || !isMembers(payload)) throw fault("an unknown event");
      const { [event.requestId]: id, ...rest } = payload;
      if (!isRequestId(id)) throw fault("an id is not 128 bits in base64url");
      if (asked.has(id)) throw fault("two requests of one id in flight");
      asked.set(id, event);
      const params = event.toParams(rest);
      return { frame: { kind: "request", id, method: event.method, params, ttl: TTL_MS } };
    },
    format(frame) {
      if (frame.kind === "hello") return call(HELLO, { deviceId: keys.own, publicKey: keys.own });
      if (frame.kind !== "result" && frame.kind !== "failure") return undefined;
      const { id } = frame;
      const event = asked.get(id ?? "");
      if (event === undefined) return undefined;
      const answer =
        frame.kind === "result"
          ? event.toResponse(frame.result)
          : { error: `${frame.error.data?.code ?? "ERR_UNAVAILABLE"}: ${frame.error.message}` };
      const text = call(event.response, { [event.responseId]: id, ...answer });
      asked.delete(id ?? "");
      return text;
    },
  };
};

/** Old companions write free text; ours put the code before it. */
const parseSeedError = (text: string): WireError => {
  const [code = "", ...rest] = text.split(": ");
  if (!Object.hasOwn(ERROR_CODES, code)) return { code: FAILED, message: text };
  const { retryable } = ERROR_CODES[code as keyof typeof ERROR_CODES];
  return { code: FAILED, message: rest.join(": "), data: { code, retryable } };
};
