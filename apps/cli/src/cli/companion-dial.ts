import { setTimeout as sleep } from "node:timers/promises";
import type { ChannelEvent, ChannelOptions } from "@lango/companion";
import type { Context } from "./context.ts";

const BASE_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;

/** Keeps a connection with an agent that listens, such as a gateway, until the signal aborts. */
export async function keepDialling(
  context: Context,
  url: string,
  options: ChannelOptions,
  signal: AbortSignal,
): Promise<void> {
  const { connectChannel } = await import("./companion.ts");
  let failures = 0;
  const onEvent = (event: ChannelEvent): void => {
    // Said below, and once: it is this side that came, and not a stranger who was turned away.
    if (event.type !== "refused") options.onEvent?.(event);
  };
  while (!signal.aborted) {
    try {
      const channel = await connectChannel({ ...options, onEvent, url, signal });
      failures = 0;
      const close = (): void => void channel.close();
      signal.addEventListener("abort", close, { once: true });
      await channel.closed;
      signal.removeEventListener("abort", close);
    } catch (error) {
      if (signal.aborted) return;
      if (failures === 0) context.note(`${(error as Error).message}; trying again`);
      failures++;
    }
    // Full jitter: companions of one gateway that restarts come back one by one.
    const pauseMs = Math.random() * Math.min(MAX_PAUSE_MS, BASE_PAUSE_MS * 2 ** failures);
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
