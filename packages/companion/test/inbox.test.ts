import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { createInbox } from "../src/channel/inbox.ts";

/** An inbox over a socket that only notes whether it is read. */
const scripted = () => {
  const taken: string[] = [];
  const socket = { isPaused: false, pauses: 0 };
  const inbox = createInbox(
    {
      pause: () => {
        socket.isPaused = true;
        socket.pauses++;
      },
    },
    (message) => taken.push(message),
    () => {
      socket.isPaused = false;
    },
  );
  return { inbox, taken, socket };
};
const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

test("a single message is taken at once", () => {
  const { inbox, taken } = scripted();
  inbox.add("a");
  expect(taken).toEqual(["a"]);
});

test("of many that come together sixteen are taken a turn, in their order, and reading stops meanwhile", async () => {
  const { inbox, taken, socket } = scripted();
  for (const message of numbers(100)) inbox.add(message);
  expect(taken).toEqual(numbers(16));
  expect(socket).toEqual({ isPaused: true, pauses: 1 });
  for (let turn = 2; taken.length < 100; turn++) {
    await nextTurn();
    expect(taken).toEqual(numbers(Math.min(16 * turn, 100)));
  }
  expect(socket).toEqual({ isPaused: false, pauses: 1 });
  // The next turn begins anew.
  await nextTurn();
  inbox.add("later");
  expect(taken.at(-1)).toBe("later");
});

test("what comes while others wait does not overtake them", async () => {
  const { inbox, taken } = scripted();
  for (const message of numbers(17)) inbox.add(message);
  await nextTurn();
  inbox.add("17");
  expect(taken).toEqual(numbers(18));
});

test("what waits when the connection closes is taken at once", async () => {
  const { inbox, taken } = scripted();
  for (const message of numbers(20)) inbox.add(message);
  inbox.flush();
  expect(taken).toEqual(numbers(20));
  await nextTurn();
  expect(taken).toHaveLength(20);
});
