import { expect, test } from "vitest";
import { createCaller } from "../src/channel/caller.ts";
import { limitsOf } from "../src/channel/limits.ts";
import { type Frame, newRequestId } from "../src/protocol/frame.ts";
import { MESSAGE } from "./support/channels.ts";

const RESULT = { keyId: "key", keyVersion: "1", signature: "", algorithm: "ecdsa-p256-sha256" };

/** The asking side alone, with what it sends. */
const make = (checkPin = async (): Promise<void> => {}) => {
  const sent: Frame[] = [];
  const send = (frame: Frame): void => void sent.push(frame);
  const limits = limitsOf({ requests: 1 });
  const caller = createCaller({ limits, checkPin, send, isFull: () => false });
  /** Asks, and gives up at once when it was sent. */
  const giveUp = async (id: string): Promise<void> => {
    const controller = new AbortController();
    const call = caller.call("sign", MESSAGE, { id, signal: controller.signal });
    await new Promise(setImmediate);
    controller.abort("enough");
    await expect(call).rejects.toBe("enough");
  };
  return { caller, sent, giveUp };
};

test("an answer that comes before its request was sent is none", async () => {
  const { caller, sent } = make(() => new Promise(() => {}));
  const id = newRequestId();
  const call = caller.call("sign", MESSAGE, { id });
  call.catch(() => {});
  await new Promise(setImmediate);
  expect(sent).toEqual([]);
  expect(() => caller.onResult(id, RESULT)).toThrow("an answer to no request");
  caller.end(new Error("over") as never);
});

test("an id that was given up twice has two answers to come, and no third", async () => {
  const { caller, giveUp } = make();
  const id = newRequestId();
  await giveUp(id);
  await giveUp(id);
  caller.onResult(id, RESULT);
  caller.onResult(id, RESULT);
  expect(() => caller.onResult(id, RESULT)).toThrow("an answer to no request");
});

test("of requests that were given up the latest are remembered, four times as many as may be in flight", async () => {
  const { caller, giveUp } = make();
  const ids = Array.from({ length: 5 }, newRequestId);
  for (const id of ids) await giveUp(id);
  expect(() => caller.onResult(ids[0] ?? "", RESULT)).toThrow("an answer to no request");
  for (const id of ids.slice(1)) caller.onResult(id, RESULT);
});

test("a companion that could not read a frame has lost count", () => {
  const failure = { code: -32_700, message: "what?" };
  expect(() => make().caller.onFailure(null, failure)).toThrow("could not read a frame");
});
