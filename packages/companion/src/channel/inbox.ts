import type { WebSocket } from "ws";

/** Messages that are looked at before the event loop turns. Their answers share a write; keys that take long hold up the others. */
const A_TURN = 16;
/** Messages that may wait before reading stops. */
const MAX_WAITING = 64;

/** Messages on their way in. */
export interface Inbox {
  add(message: string): void;
  /** Whether reading stopped because messages wait. */
  isFull(): boolean;
  /** Takes whatever waits, at once: nothing more will come. */
  flush(): void;
}

/**
 * Hands messages over a few at a time. One read of a socket may bring hundreds, and without this the first answer would go
 * out when the last request is done: everybody waits for everybody, and each side for the other.
 *
 * @param resume - Reads on, if nothing else is against it.
 */
export const createInbox = (
  ws: Pick<WebSocket, "pause">,
  take: (message: string) => void,
  resume: () => void,
): Inbox => {
  const waiting: string[] = [];
  let taken = 0;
  let isPaused = false;

  const takeOne = (message: string): void => {
    if (taken++ === 0) setImmediate(turn);
    take(message);
  };

  const turn = (): void => {
    taken = 0;
    while (taken < A_TURN && waiting.length > 0) takeOne(waiting.shift() ?? "");
    if (!isPaused || waiting.length > 0) return;
    isPaused = false;
    resume();
  };

  return {
    add: (message) => {
      if (waiting.length === 0 && taken < A_TURN) return takeOne(message);
      waiting.push(message);
      if (isPaused || waiting.length < MAX_WAITING) return;
      isPaused = true;
      ws.pause();
    },
    isFull: () => isPaused,
    flush: () => {
      for (const message of waiting.splice(0)) take(message);
    },
  };
};
