import { describe, expect, test } from "vitest";
import { createElicitation, type FormAnswer } from "../src/mcp/elicitation.ts";
import { type CallRequest, createPendingCalls } from "../src/mcp/pending-calls.ts";

const signal = new AbortController().signal;

test("only an accepted form that says so means that a secret was entered", async () => {
  const elicitation = createElicitation();
  const asked = (answer: FormAnswer, isOpen = true): Promise<unknown> =>
    elicitation.within({ isOpen, client: "c", ask: async () => answer }, async () =>
      elicitation.requestSecret({ name: "a", session: "s" }, signal),
    );
  const yes = { entered: true };
  expect(await asked({ action: "accept", content: yes })).toBe("elsewhere");
  expect(await asked({ action: "accept", content: yes }, false)).toBeUndefined();
  for (const answer of [
    { action: "accept" },
    { action: "accept", content: {} },
    { action: "accept", content: { entered: "true" } },
    { action: "decline", content: yes },
    { action: "cancel", content: yes },
  ] as const) {
    expect(await asked(answer)).toBeUndefined();
  }
});

describe("an answer to a question", () => {
  const request: CallRequest = {
    ...{ tool: "a", args: { x: 1 }, client: "c", showsForms: true },
    signal,
  };
  const YES: FormAnswer = { action: "accept", content: { approve: true } };
  const open = async () => {
    const calls = createPendingCalls<FormAnswer>();
    const round = await calls.start(request, (channel) =>
      channel.ask({ message: "?", form: { type: "object", properties: {}, required: [] } }),
    );
    if (round.kind !== "question") throw new Error("nothing was asked");
    return { calls, id: round.id };
  };

  test("is taken for the same call, once", async () => {
    const { calls, id } = await open();
    const first = await calls.resume(request, { id, answer: YES });
    expect(first).toEqual({ kind: "done", outcome: YES });
    expect(await calls.resume(request, { id, answer: YES })).toBeUndefined();
  });

  test.each([
    ["tool", { tool: "b" }],
    ["arguments", { args: { x: 2 } }],
  ])("is not taken with another %s, and then for none", async (_, other) => {
    const { calls, id } = await open();
    const taken = await calls.resume({ ...request, ...other }, { id, answer: YES });
    expect(taken).toBeUndefined();
    expect(await calls.resume(request, { id, answer: YES })).toBeUndefined();
  });
});
