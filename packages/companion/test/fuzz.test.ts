import { isCryptoError } from "@lango/crypto-core";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { FUZZ_TIMEOUT_MS, fuzz } from "../../../tooling/vitest/fuzz.ts";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { createAnswerer } from "../src/channel/answerer.ts";
import { createCaller } from "../src/channel/caller.ts";
import { limitsOf } from "../src/channel/limits.ts";
import { type Codec, createCodec, type Frame, newRequestId } from "../src/protocol/frame.ts";
import { parseJson } from "../src/protocol/json.ts";
import { createSeedAgentCodec, createSeedCompanionCodec } from "../src/protocol/seed-codec.ts";
import { joinAs, signRequest } from "./support/attacker.ts";
import { closeAll, link, MESSAGE, SIGNED, signs } from "./support/channels.ts";
import { makeIdentity, peerOf } from "./support/devices.ts";

afterEach(closeAll);

const codeOf = (error: unknown): string | undefined =>
  isCryptoError(error) ? error.code : undefined;

const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const decode = (input: Uint8Array): string => Buffer.from(input).toString();

const FRAMES = torture(100, 5_000);
const ID = newRequestId();
const REQUESTS = [
  { jsonrpc: "2.0", seq: 0, ...signRequest() },
  { jsonrpc: "2.0", seq: 0, ...signRequest(), method: "listKeys", params: {} },
  { jsonrpc: "2.0", seq: 0, method: "cancel", params: { id: ID } },
];
const ANSWERS = [
  { jsonrpc: "2.0", seq: 0, id: ID, result: { keyId: "k", signature: "AAAA" } },
  { jsonrpc: "2.0", seq: 0, id: ID, error: { code: -32_000, message: "m" } },
  { jsonrpc: "2.0", seq: 0, method: "waiting", params: { id: ID } },
];
const EVENTS = [
  { type: "event", event: "sign.request", payload: { id: ID, keyId: "k", payload: "AAAA" } },
  { type: "event", event: "approval.request", payload: { id: ID, message: "pay" } },
  { id: "1", result: { status: "ok" } },
];
const CALLS = [
  { id: 1, method: "sign.response", params: { id: ID, signature: "AAAA" } },
  { id: 1, method: "companion.hello", params: { deviceId: "d", publicKey: "other" } },
  { id: 1, method: "approval.response", params: { requestId: ID, approved: true } },
];

/** The side that answers, behind a new codec for every input. */
const answeringSide = async (makeCodec: () => Codec) => {
  const sent: Frame[] = [];
  const answerer = createAnswerer({
    peer: peerOf(await makeIdentity("agent"), "agent"),
    binding: new Uint8Array(32),
    limits: limitsOf(undefined),
    handler: signs,
    checkPin: async () => {},
    send: (frame) => sent.push(frame),
  });
  return async (input: Uint8Array): Promise<void> => {
    sent.length = 0;
    const { frame } = makeCodec().parse(decode(input));
    if (frame?.kind === "request") {
      answerer.onRequest(frame);
      // The handler answers within some turns of the queue of promises.
      for (let turn = 0; turn < 20 && sent.length === 0; turn++) await undefined;
      expect(sent).toHaveLength(1);
    } else if (frame?.kind === "cancel") {
      answerer.onCancel(frame.id);
    }
  };
};

/** The side that asks, with nothing in flight: no answer may do anything. */
const askingSide = (makeCodec: () => Codec) => {
  const caller = createCaller({
    limits: limitsOf(undefined),
    checkPin: async () => {},
    send: () => {},
    isFull: () => false,
  });
  return (input: Uint8Array): void => {
    const { frame } = makeCodec().parse(decode(input));
    if (frame?.kind === "result") caller.onResult(frame.id, frame.result);
    if (frame?.kind === "failure") caller.onFailure(frame.id, frame.error);
    if (frame?.kind === "waiting") caller.onWaiting(frame.id);
  };
};

describe("mutated and random frames end typed", () => {
  test("to the companion", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const parse = await answeringSide(createCodec);
    const valid = REQUESTS.map(encode);
    const outcomes = await fuzz({ name: "companion frames", valid, parse, codeOf });
    expect([...outcomes.keys()].sort()).toEqual(["ERR_UNAVAILABLE", "opened"]);
  });

  test("to the agent", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const parse = askingSide(createCodec);
    const valid = ANSWERS.map(encode);
    const outcomes = await fuzz({ name: "answers of a companion", valid, parse, codeOf });
    expect([...outcomes.keys()]).toEqual(expect.arrayContaining(["ERR_UNAVAILABLE"]));
  });

  test("in compatibility mode", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const keys = { own: "own", other: "other" };
    const toCompanion = await answeringSide(() => createSeedCompanionCodec(keys));
    const toAgent = askingSide(() => createSeedAgentCodec(keys));
    const fuzzes = [
      { name: "events of the old protocol", valid: EVENTS.map(encode), parse: toCompanion },
      { name: "calls of the old protocol", valid: CALLS.map(encode), parse: toAgent },
    ];
    for (const each of fuzzes) {
      const outcomes = await fuzz({ ...each, codeOf });
      expect([...outcomes.keys()].sort()).toEqual(["ERR_UNAVAILABLE", "opened"]);
    }
  });

  test("on a connection: it is closed or goes on, and the next one is served", async () => {
    const { port, pair } = await link({ handler: signs });
    let frames = 0;
    const valid = REQUESTS.map((frame) => JSON.stringify({ ...frame, seq: 1 }));
    while (frames < FRAMES) {
      const text = valid[frames % valid.length] ?? "";
      const at = (frames * 7919) % text.length;
      const raw = await joinAs(port, pair.agent.identity, "agent");
      raw.send(text.slice(0, at) + String.fromCharCode(frames % 128) + text.slice(at + 1));
      raw.send({ method: "hello", params: {} });
      expect(await raw.closed).toMatch(/^1002 The other side broke the protocol: /);
      frames++;
    }
    report("frames on a connection, with one character changed", new Map([["closed", frames]]));
    const last = await joinAs(port, pair.agent.identity, "agent");
    last.send(signRequest(ID));
    expect(await last.next()).toMatchObject({ id: ID, result: { keyId: SIGNED.keyId } });
    last.ws.terminate();
    expect(MESSAGE.keyId).toBe("key");
  });
});

describe("frames", () => {
  const text = fc.string({ unit: "grapheme" });
  const wire = fc.dictionary(
    text.filter((name) => name !== "__proto__"),
    fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.array(text)),
  );
  const id = fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((bytes) => Buffer.from(bytes).toString("base64url"));
  const frame: fc.Arbitrary<Frame> = fc.oneof(
    fc.record({
      kind: fc.constant("request" as const),
      id,
      method: text,
      params: wire,
      ttl: fc.integer({ min: 1, max: 600_000 }),
    }),
    fc.record({ kind: fc.constant("result" as const), id, result: wire }),
    fc.record({
      kind: fc.constant("failure" as const),
      id: fc.oneof(id, fc.constant(null)),
      error: fc.record({ code: fc.integer(), message: text }),
    }),
    fc.record({ kind: fc.constantFrom("waiting" as const, "cancel" as const), id }),
  );

  test("what is formatted is parsed to the same, in order", () => {
    fc.assert(
      fc.property(fc.array(frame), (frames) => {
        const [from, to] = [createCodec(), createCodec()];
        for (const each of frames) {
          expect(to.parse(from.format(each) ?? "")).toEqual({ frame: each });
        }
      }),
    );
  });

  test("JSON is taken as JSON.parse takes it, unless a member is there twice", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 10 }), (json) => {
        expect(parseJson(json)).toEqual(JSON.parse(json));
      }),
    );
    const name = text.map((each) => JSON.stringify(each));
    fc.assert(
      fc.property(name, fc.json(), fc.json(), (member, first, second) => {
        expect(() => parseJson(`[{${member}:${first},${member}:${second}}]`)).toThrow("twice");
      }),
    );
  });
});
