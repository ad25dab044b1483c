import type { ChannelEvent } from "./options.ts";
import type { Channel } from "./types.ts";

export interface Reporter {
  connected(channel: Channel): void;
  refused(reason: unknown, address: string | undefined): void;
}

/** Tells what happens. A listener that throws changes nothing. */
export const createReporter = (onEvent: ((event: ChannelEvent) => void) | undefined): Reporter => {
  const tell = (event: ChannelEvent): void => {
    try {
      onEvent?.(event);
    } catch {
      // A log that fails must not end a connection, nor keep one alive.
    }
  };
  return {
    connected({ peer, closed }) {
      tell({ type: "connected", peer });
      void closed.then((reason) => tell({ type: "closed", peer, reason }));
    },
    refused: (reason, address) =>
      tell({
        type: "refused",
        reason: reason instanceof Error ? reason.message : "unknown",
        address,
      }),
  };
};
