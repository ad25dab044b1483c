import type { WebSocket } from "ws";

/** Messages that are looked at before the event loop turns. */
const A_TURN = 8;
/** Messages that may wait before reading stops. */
const MAX_WAITING = 64;

/** Messages on their way in. */
export interface Inbox {
  add(message: string): void;
  /** Takes whatever waits, at once: nothing more will come. */
  flush(): void;
  /** Whether it has room; reading may go on when it has. */
  readonly hasRoom: boolean;
}

/**
 * Hands messages over a few at a time. One read of a socket may bring hundreds, and without this the first answer would go
 * out when the last request is done: everybody waits for everybody, and each side for the other.
 */
export const createInbox = (
  ws: WebSocket,
  take: (message: string) => void,
  onRoom: () => void,
): Inbox => {
  const waiting: string[] = [];
  let taken = 0;

  const turn = (): void => {
    taken = 0;
    while (taken < A_TURN && waiting.length > 0) {
      if (taken++ === 0) setImmediate(turn);
      take(waiting.shift() ?? "");
    }
    if (waiting.length === 0) onRoom();
  };

  return {
    add: (message) => {
      if (waiting.length === 0 && taken < A_TURN) {
        if (taken++ === 0) setImmediate(turn);
        return take(message);
      }
      waiting.push(message);
      if (waiting.length >= MAX_WAITING) ws.pause();
    },
    flush: () => {
      for (const message of waiting.splice(0)) take(message);
    },
    get hasRoom() {
      return waiting.length < MAX_WAITING;
    },
  };
};
