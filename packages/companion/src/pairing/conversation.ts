import { CryptoError } from "@lango/crypto-core";
import type { RawData, WebSocket } from "ws";
import * as z from "zod";
import { answerPings } from "../channel/liveness.ts";
import { parseJson } from "../protocol/json.ts";
import {
  MAX_MESSAGE_BYTES,
  type Message,
  message as messageSchema,
  type RefusalReason,
} from "./messages.ts";

/** For a step that only machines take part in: whoever is slower wants to wear us out. */
export const STEP_MS = 10_000;
const CLOSE_MS = 1000;
/** No side ever has more to say before it must listen. */
const MAX_UNREAD = 4;

/** Messages of one pairing on one connection. */
export interface Conversation {
  send(message: Message): void;
  /**
   * The next message, which must be of that type.
   *
   * @throws {@link CryptoError} `ERR_TIMEOUT`; `ERR_UNAVAILABLE` when the connection is lost; what the other side refused with;
   *   `ERR_DENIED` for a message that breaks the protocol.
   */
  receive<T extends Message["type"]>(
    type: T,
    timeoutMs?: number,
  ): Promise<Extract<Message, { readonly type: T }>>;
  /** Aborts when the other side refused or is gone, or {@link abort} was called, with the error. */
  readonly gone: AbortSignal;
  /** Tells the other side why nothing comes of it, and closes. */
  refuse(reason: RefusalReason): void;
  close(): void;
  /** Ends it at once: whatever waits rejects with the reason, and what came is not read any more. */
  abort(reason: unknown): void;
}

export const createConversation = (socket: WebSocket, stepMs: number = STEP_MS): Conversation => {
  const gone = new AbortController();
  const unread: Message[] = [];
  let wake: () => void = () => undefined;

  const send = (message: Message): void => {
    if (socket.readyState !== socket.OPEN) return;
    socket.send(JSON.stringify(z.encode(messageSchema, message)));
  };
  const close = (): void => {
    if (socket.readyState === socket.CLOSED) return;
    socket.close(1000);
    const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
    socket.once("close", () => clearTimeout(timer));
  };
  const end = (reason: unknown): void => {
    gone.abort(reason);
    wake();
    close();
  };
  const abort = (reason: unknown): void => {
    unread.length = 0;
    end(reason);
  };

  answerPings(socket);
  socket.on("message", (data: RawData, isBinary: boolean) => {
    const message = isBinary ? undefined : parseMessage(data);
    if (message === undefined || unread.length >= MAX_UNREAD) abort(broken());
    else if (message.type === "refused") end(REFUSALS[message.reason]());
    else if (!gone.signal.aborted) unread.push(message);
    wake();
  });
  socket.on("error", (cause) => end(lost(cause)));
  socket.on("close", () => end(lost()));

  return {
    gone: gone.signal,
    send,
    close,
    abort,
    refuse(reason) {
      send({ type: "refused", reason });
      close();
    },
    async receive<T extends Message["type"]>(type: T, timeoutMs = stepMs) {
      if (unread.length === 0 && !gone.signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => abort(late()), timeoutMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      // What came before the other side ended it counts: its last message and the close may arrive together.
      const message = unread.shift();
      if (message === undefined) throw gone.signal.reason;
      if (message.type !== type) {
        abort(broken());
        throw broken();
      }
      return message as Extract<Message, { readonly type: T }>;
    },
  };
};

const parseMessage = (data: RawData): Message | undefined => {
  const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as ArrayBuffer);
  if (bytes.length > MAX_MESSAGE_BYTES) return undefined;
  try {
    return messageSchema.safeParse(parseJson(bytes.toString("utf8"))).data;
  } catch {
    return undefined;
  }
};

const late = (): CryptoError =>
  new CryptoError("ERR_TIMEOUT", "The other device stopped answering during the pairing");

const lost = (cause?: unknown): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", "The connection was lost during the pairing", {
    cause,
    context: { hint: "Start the pairing again on both devices" },
  });

const broken = (): CryptoError =>
  new CryptoError("ERR_DENIED", "The other device does not keep to the pairing protocol");

/** What a refusal of the other side is here. */
const REFUSALS: Readonly<Record<RefusalReason, () => CryptoError>> = {
  refused: () =>
    new CryptoError("ERR_ACCESS_DENIED", "The other device refused the pairing", {
      context: { hint: "Check the code; it is good for 2 minutes, 3 tries and one device" },
    }),
  declined: () =>
    new CryptoError("ERR_DENIED", "The person at the other device said no", {
      context: { hint: "If the digits differed, someone is in between: try another network" },
    }),
  mode: () =>
    new CryptoError("ERR_CONFLICT", "The other device pairs in another mode", {
      context: { hint: "Give the code that it shows, or compare digits, as it does" },
    }),
  role: () =>
    new CryptoError("ERR_CONFLICT", "Both devices have the same role", {
      context: { hint: "An agent pairs with a companion" },
    }),
  version: () =>
    new CryptoError("ERR_UNSUPPORTED", "The other device speaks another version of pairing", {
      context: { hint: "Update both devices to one version" },
    }),
  failed: () =>
    new CryptoError("ERR_UNAVAILABLE", "The other device could not keep the pairing", {
      context: { hint: "See what it says, and pair again" },
    }),
};

export const refusalError = (reason: RefusalReason): CryptoError => REFUSALS[reason]();
