import { expect, test } from "vitest";
import { createCodec } from "../src/protocol/frame.ts";

const ID = "AAAAAAAAAAAAAAAAAAAAAA";
const START = { jsonrpc: "2.0", seq: 0 };
const REQUEST = { ...START, id: ID, method: "sign", params: {}, ttl: 1 };
const ERROR = { code: -32_000, message: "no" };
const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);

const parse = (frame: object) => createCodec().parse(JSON.stringify(frame)).frame;

test.each<[string, object]>([
  ["a request", REQUEST],
  ["the longest ttl", { ...REQUEST, ttl: 600_000 }],
  ["16 levels", { ...REQUEST, params: { deep: nested(14) } }],
  ["a result", { ...START, id: ID, result: {} }],
  ["an error", { ...START, id: ID, error: ERROR }],
  ["an error of no request", { ...START, id: null, error: ERROR }],
  ["a heartbeat", { ...START, method: "waiting", params: { id: ID } }],
])("%s is a frame", (_, frame) => {
  expect(parse(frame)).toBeDefined();
});

test.each<[string, object]>([
  ["another JSON-RPC", { ...REQUEST, jsonrpc: "1.0" }],
  ["another number", { ...REQUEST, seq: 1 }],
  ["a number that is a text", { ...REQUEST, seq: "0" }],
  ["a request with one member more", { ...REQUEST, more: 1 }],
  ["an id that is not the only form of its bits", { ...REQUEST, id: `${"A".repeat(21)}B` }],
  ["an id of 23 characters", { ...REQUEST, id: `${ID}A` }],
  ["no time", { ...REQUEST, ttl: 0 }],
  ["too much time", { ...REQUEST, ttl: 600_001 }],
  ["a part of a millisecond", { ...REQUEST, ttl: 1.5 }],
  ["17 levels", { ...REQUEST, params: { deep: nested(15) } }],
  ["a result with one member more", { ...START, id: ID, result: {}, more: 1 }],
  ["a result and an error", { ...START, id: ID, result: {}, error: ERROR }],
  ["a result of no request", { ...START, id: null, result: {} }],
  ["an error with one member more", { ...START, id: ID, error: ERROR, more: 1 }],
  ["a heartbeat with one member more", { ...START, method: "waiting", params: { id: ID }, ttl: 1 }],
  ["a heartbeat that says more", { ...START, method: "waiting", params: { id: ID, more: 1 } }],
  [
    "a hello that says more",
    {
      ...START,
      method: "hello",
      params: { version: "lango-companion.1", role: "agent", proof: "", more: 1 },
    },
  ],
])("%s is none", (_, frame) => {
  expect(() => parse(frame)).toThrow("The other side broke the protocol");
});
