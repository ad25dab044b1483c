import { hash } from "node:crypto";
import { type Bytes, CryptoError, toCryptoError, toPlain, zero } from "@lango/crypto-core";
import type * as z from "zod";
import type { Peer } from "../peers.ts";
import { type Frame, MAX_TTL_MS, type Wire } from "../protocol/frame.ts";
import { fault } from "../protocol/json.ts";
import type { MethodName, Result } from "../protocol/methods.ts";
import { schemas } from "../protocol/schemas.ts";
import { INVALID_PARAMS, METHOD_NOT_FOUND, toWireError } from "../protocol/wire-error.ts";
import type { ChannelLimits } from "./options.ts";
import type { IncomingRequest, RequestHandler } from "./types.ts";

type RequestFrame = Extract<Frame, { readonly kind: "request" }>;

export interface Answerer {
  onRequest(frame: RequestFrame): void;
  onCancel(id: string): void;
  /** Aborts whatever is being done; nothing is answered any more. */
  end(error: CryptoError): void;
}

export interface AnswererOptions {
  readonly peer: Peer;
  readonly binding: Bytes;
  readonly limits: ChannelLimits;
  readonly handler: RequestHandler;
  /** Rejects when the device may not ask any more. */
  readonly checkPin: () => Promise<void>;
  readonly send: (frame: Frame) => void;
}

interface Active {
  readonly controller: AbortController;
  /** Runs out for the transport at first, for the person once one is asked. */
  deadline: NodeJS.Timeout;
  /** Sends heartbeats while a person is being asked. */
  heartbeat?: NodeJS.Timeout | undefined;
  /** How many `waiting()` are open. */
  asked: number;
  /** Whether a person was ever asked. */
  personal: boolean;
}

/** The side that answers: every request exactly once, whatever happens to it, and while it runs under its id alone. */
export const createAnswerer = (options: AnswererOptions): Answerer => {
  const { peer, binding, limits, handler, checkPin, send } = options;
  const active = new Map<string, Active>();
  /** Handlers that have not ended: also those whose request was cancelled, or an agent that cancels could start any number. */
  let running = 0;

  const remove = (id: string): Active | undefined => {
    const request = active.get(id);
    if (request === undefined) return undefined;
    active.delete(id);
    clearTimeout(request.deadline);
    clearInterval(request.heartbeat);
    return request;
  };

  const refuse = (id: string, error: CryptoError): void =>
    send({ kind: "failure", id, error: toWireError(error) });

  const giveUp = (id: string, error: CryptoError): void => {
    const request = remove(id);
    if (request === undefined) return;
    refuse(id, error);
    request.controller.abort(error);
  };

  const expireAfter = (id: string, ms: number, error: () => CryptoError): NodeJS.Timeout =>
    setTimeout(() => giveUp(id, error()), ms);

  const waiting = (id: string, request: Active): (() => void) => {
    if (active.get(id) !== request) return () => {};
    if (!request.personal) {
      request.personal = true;
      clearTimeout(request.deadline);
      request.deadline = expireAfter(id, MAX_TTL_MS, nobodyDecided);
    }
    if (request.asked++ === 0) {
      send({ kind: "waiting", id });
      request.heartbeat = setInterval(() => send({ kind: "waiting", id }), limits.heartbeatMs);
    }
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      if (--request.asked === 0) clearInterval(request.heartbeat);
    };
  };

  const run = async (request: Active, incoming: IncomingRequest): Promise<void> => {
    const { id, method } = incoming;
    let answer: Frame;
    try {
      await checkPin();
      // Cancelled, too late or closed meanwhile: it was answered then, and nothing is done.
      if (active.get(id) !== request) return;
      const made = await handler(incoming);
      const result = resultSchema(method).safeEncode(made);
      if ("plaintext" in made) zero(made.plaintext);
      if ("key" in made) zero(made.key);
      if (!result.success) {
        throw new CryptoError("ERR_INTERNAL", `The companion made no result of ${method}`);
      }
      answer = { kind: "result", id, result: result.data };
    } catch (error) {
      const context = { provider: "companion", operation: method };
      answer = { kind: "failure", id, error: toWireError(toCryptoError(error, context)) };
    } finally {
      running--;
    }
    if (active.get(id) !== request) return;
    remove(id);
    sendAnswer(id, answer);
  };

  const sendAnswer = (id: string, answer: Frame): void => {
    try {
      send(answer);
    } catch {
      refuse(id, new CryptoError("ERR_INTERNAL", "The answer of the companion is too large"));
    }
  };

  return {
    onRequest({ id, method, params, ttl }) {
      if (active.has(id)) throw fault("two requests of one id in flight");
      if (!isMethod(method)) {
        return send({
          kind: "failure",
          id,
          error: { code: METHOD_NOT_FOUND, message: "The companion knows no such method" },
        });
      }
      const decoded = schemas[method].params.safeDecode(params);
      if (!decoded.success) {
        return send({
          kind: "failure",
          id,
          error: { code: INVALID_PARAMS, message: `Not the params of ${method}` },
        });
      }
      if (running >= limits.requests) {
        const message = `${running} requests are in flight, which is as many as the companion takes`;
        return refuse(id, new CryptoError("ERR_RATE_LIMITED", message));
      }
      const controller = new AbortController();
      const request: Active = {
        controller,
        deadline: expireAfter(id, ttl, () => timedOut(ttl)),
        asked: 0,
        personal: false,
      };
      active.set(id, request);
      running++;
      void run(request, {
        id,
        method,
        params: decoded.data,
        peer,
        binding,
        signal: controller.signal,
        hash: hashOf(method, params),
        waiting: () => waiting(id, request),
      });
    },
    onCancel(id) {
      // Unknown: it was answered meanwhile.
      giveUp(id, new CryptoError("ERR_CLOSED", "The request was cancelled"));
    },
    end(error) {
      for (const id of [...active.keys()]) remove(id)?.controller.abort(error);
    },
  };
};

const isMethod = (name: string): name is MethodName => Object.hasOwn(schemas, name);

/** One type for all of them: TypeScript cannot tie a result to the method of its request. */
const resultSchema = (method: MethodName): z.ZodType<Result<MethodName>, Wire> =>
  schemas[method].result as z.ZodType<Result<MethodName>, Wire>;

/** Over what came, white space aside: whoever sends a request again sends the same members in the same order. */
const hashOf = (method: MethodName, params: Wire): Bytes =>
  toPlain(hash("sha256", `${method}\n${JSON.stringify(params)}`, "buffer"));

const timedOut = (ttl: number): CryptoError =>
  new CryptoError("ERR_TIMEOUT", `The companion was not done within ${ttl} ms`);

const nobodyDecided = (): CryptoError =>
  new CryptoError("ERR_APPROVAL_TIMEOUT", `Nobody decided within ${MAX_TTL_MS} ms`);
