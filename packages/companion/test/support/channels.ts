import { connectChannel } from "../../src/channel/connect.ts";
import { createChannelListener } from "../../src/channel/listener.ts";
import type {
  ChannelEvent,
  ChannelLimits,
  ChannelListener,
  ListenerOptions,
} from "../../src/channel/options.ts";
import type { Channel, IncomingRequest, RequestHandler } from "../../src/channel/types.ts";
import type { Params, Result } from "../../src/protocol/methods.ts";
import { makePair, type Pair } from "./devices.ts";

export interface Linked {
  readonly pair: Pair;
  readonly listener: ChannelListener;
  readonly url: string;
  readonly port: number;
  readonly channel: Channel;
  /** What the companion was asked. */
  readonly requests: IncomingRequest[];
  /** What the listener told. */
  readonly events: ChannelEvent[];
}

const toClose: (() => Promise<void>)[] = [];

/** For `afterEach`. */
export const closeAll = async (): Promise<void> => {
  await Promise.all(toClose.splice(0).map((close) => close()));
};

export const closeLater = (close: () => Promise<void>): void => {
  toClose.push(close);
};

export interface LinkOptions {
  readonly handler: RequestHandler;
  readonly limits?: Partial<ChannelLimits>;
  readonly listener?: Partial<ListenerOptions>;
  readonly compatibility?: boolean;
}

/** A companion that listens, and an agent on a channel to it. */
export const link = async (options: LinkOptions): Promise<Linked> => {
  const { handler, limits, compatibility } = options;
  const pair = await makePair();
  const requests: IncomingRequest[] = [];
  const events: ChannelEvent[] = [];
  const listener = createChannelListener({
    role: "companion",
    ...pair.companion,
    limits,
    compatibility,
    handler: (request) => {
      requests.push(request);
      return handler(request);
    },
    onEvent: (event) => events.push(event),
    ...options.listener,
  });
  closeLater(() => listener.close());
  const { host, port } = await listener.listen();
  const url = `wss://${host}:${port}`;
  const channel = await connectChannel({
    role: "agent",
    ...pair.agent,
    url,
    limits,
    compatibility,
  });
  closeLater(() => channel.close());
  return { pair, listener, url, port, channel, requests, events };
};

export const MESSAGE: Params<"sign"> = { keyId: "key", message: new Uint8Array(32).fill(7) };

export const SIGNED: Result<"sign"> = {
  keyId: "key",
  keyVersion: "1",
  signature: new Uint8Array(64).fill(9),
  algorithm: "ecdsa-p256-sha256",
};

/** Answers every request to sign. */
export const signs: RequestHandler = async () => SIGNED;

/** Never answers; what it was asked ends with its signal. */
export const hangs: RequestHandler = ({ signal }) =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until something holds; the test's own timeout ends it when it never does. */
export const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await sleep(2);
};
