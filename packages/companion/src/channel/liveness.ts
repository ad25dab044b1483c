import { CryptoError } from "@lango/crypto-core";
import type { WebSocket } from "ws";
import type { ChannelLimits } from "./options.ts";

export interface LivenessOptions {
  readonly ws: WebSocket;
  readonly limits: ChannelLimits;
  /** Ends the channel by itself when the pin is gone. */
  readonly checkPin: () => Promise<void>;
  readonly end: (code: number, error: CryptoError) => void;
}

/**
 * Answers pings, one at a time (RFC 6455 §5.5.3 allows it): to whoever sends them and reads no pong, `ws` would keep every one. For
 * sockets with `autoPong` off.
 */
export const answerPings = (ws: WebSocket): void => {
  let isBusy = false;
  ws.on("ping", (data) => {
    if (isBusy) return;
    isBusy = true;
    ws.pong(data, undefined, () => {
      isBusy = false;
    });
  });
};

/**
 * Watches that the other side is still there and still paired.
 *
 * @returns Stops it.
 */
export const watchLiveness = ({ ws, limits, checkPin, end }: LivenessOptions): (() => void) => {
  let dead: NodeJS.Timeout | undefined;
  const die = (): void => {
    const message = `The other side did not answer a ping within ${limits.pongMs} ms`;
    end(1001, new CryptoError("ERR_UNAVAILABLE", message));
    ws.terminate();
  };
  const pings = setInterval(() => {
    ws.ping();
    dead ??= setTimeout(die, limits.pongMs);
  }, limits.pingMs);
  ws.on("pong", () => {
    clearTimeout(dead);
    dead = undefined;
  });
  let isChecking = false;
  const pins = setInterval(async () => {
    if (isChecking) return;
    isChecking = true;
    await checkPin().catch(() => {});
    isChecking = false;
  }, limits.pinMs);
  return () => {
    clearInterval(pings);
    clearInterval(pins);
    clearTimeout(dead);
  };
};
