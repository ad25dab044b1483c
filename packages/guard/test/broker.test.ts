import { getEventListeners } from "node:events";
import { setTimeout } from "node:timers/promises";
import { isCryptoError } from "@lango/crypto-core";
import {
  type Answer,
  type BrokerOptions,
  createBroker,
  createProgrammaticSurface,
  type Safety,
  type Surface,
} from "@lango/guard";
import { describe, expect, it, vi } from "vitest";
import { ACTION, desk, memoryVault, policyOf } from "./approval-vault.ts";

const YES: Answer = { approved: true, by: "Ada" };
const NO: Answer = { approved: false, by: "Ada" };

const setUp = (options: Partial<BrokerOptions> = {}, ...surfaces: readonly Surface[]) => {
  const vault = memoryVault();
  const broker = createBroker({ vault, policy: async () => policyOf(), ...options });
  for (const surface of surfaces) broker.addSurface(surface);
  const decide = (more: Partial<Parameters<typeof broker.decide>[1]> = {}) =>
    broker.decide(ACTION, { safety: "dangerous", timeoutMs: 60_000, ...more });
  return { vault, broker, decide };
};

const codeOf = async (decision: Promise<unknown>): Promise<string> => {
  const error = await decision.then(
    () => "approved",
    (reason: unknown) => reason,
  );
  return isCryptoError(error) ? error.code : String(error);
};

const kinds = (vault: ReturnType<typeof memoryVault>) => vault.notes.map(({ kind }) => kind);

describe("nobody whose yes counts", () => {
  const throwing = {
    ...desk("broken"),
    counts: () => {
      throw new Error("broken");
    },
  };
  const weak = { ...desk("chat"), counts: () => false };

  it.each([
    ["no surface", [], "there is nobody to ask"],
    [
      "one that does not count",
      [weak],
      "there is no approver to ask (a yes by chat does not count here)",
    ],
    ["one that throws", [throwing], "a yes by broken does not count here"],
  ] as const)("denies at once, in the log with the reason: %s", async (_, surfaces, reason) => {
    const { vault, decide } = setUp({}, ...surfaces);
    const started = performance.now();
    await expect(decide()).rejects.toMatchObject({
      code: "ERR_DENIED",
      message: expect.stringContaining(reason),
    });
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(vault.notes).toMatchObject([{ kind: "deny", reason: expect.stringContaining(reason) }]);
    expect(weak.asked).toBe(0);
  });

  it("does not turn a misspelt safety into a harmless one", async () => {
    const { decide } = setUp({}, desk());
    for (const safety of ["Dangerous", "", undefined, null]) {
      expect(await codeOf(decide({ safety: safety as never }))).toBe("ERR_INVALID_ARGUMENT");
    }
  });

  it("is approved by nobody, however many times it is asked", async () => {
    const { decide } = setUp({}, weak);
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(decide())));
    expect(new Set(codes)).toEqual(new Set(["ERR_DENIED"]));
  });
});

describe("an answer", () => {
  it("of yes is a decision, once it is in the log", async () => {
    const surface = desk();
    const { vault, decide } = setUp({}, surface);
    const decision = decide();
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    expect(kinds(vault)).toEqual(["request"]);
    surface.answer({ ...YES, evidence: new Uint8Array([1, 2]) });
    const made = await decision;
    expect(made).toMatchObject({ via: "desk", by: "Ada", evidence: new Uint8Array([1, 2]) });
    expect(made.request).toMatchObject({
      tool: "exec",
      dangerous: true,
      arguments: { command: "ls" },
    });
    expect(vault.notes).toMatchObject([
      { kind: "request" },
      { kind: "approve", via: "desk", by: "Ada", id: made.request?.id },
    ]);
  });

  it("of no is ERR_DENIED", async () => {
    const surface = desk();
    const { vault, decide } = setUp({}, surface, desk("other"));
    const decision = codeOf(decide());
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    surface.answer(NO);
    expect(await decision).toBe("ERR_DENIED");
    expect(vault.notes).toMatchObject([{ kind: "request" }, { kind: "deny", by: "Ada" }]);
  });

  it("is the first one; the others are told that it is over", async () => {
    const [first, second] = [desk("first"), desk("second")];
    const { vault, decide } = setUp({}, first, second);
    const decision = decide();
    await vi.waitFor(() => expect(second.asked).toBe(1));
    second.answer(YES);
    first.answer(NO);
    expect(await decision).toMatchObject({ via: "second" });
    for (const { signals } of [first, second]) expect(signals[0]?.aborted).toBe(true);
    expect(String(first.signals[0]?.reason)).toContain("approved elsewhere");
    expect(kinds(vault)).toEqual(["request", "approve"]);
  });

  it("that cannot be put into the log is none", async () => {
    const surface = desk();
    const { vault, decide } = setUp({}, surface);
    vault.failing = ["approve"];
    const decision = decide();
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    surface.answer(YES);
    await expect(decision).rejects.toThrow("the log is full");
  });

  it("is not asked for when the request cannot be put into the log", async () => {
    const surface = desk();
    const { vault, broker, decide } = setUp({}, surface);
    const writing = Promise.withResolvers<void>();
    vault.record = () => writing.promise;
    const decision = decide();
    const failed = expect(decision).rejects.toThrow("the log is full");
    await setTimeout(5);
    // One that comes meanwhile is told that it is over.
    const late = desk("late");
    broker.addSurface(late);
    await vi.waitFor(() => expect(late.asked).toBe(1));
    writing.reject(new Error("the log is full"));
    await failed;
    expect(surface.asked).toBe(0);
    expect(late.signals[0]?.aborted).toBe(true);
  });

  it.each([
    undefined,
    null,
    true,
    "yes",
    {},
    { approved: "true", by: "x" },
    { approved: 1, by: "x" },
    { approved: true },
    { approved: true, by: "" },
    { approved: true, by: "x".repeat(257) },
    { approved: true, by: "\ud800" },
    { approved: true, by: "x", scope: "always" },
    { approved: true, by: "x", scope: null },
    { approved: true, by: "x", scope: { minutes: 0 } },
    { approved: true, by: "x", scope: { minutes: 43_201 } },
    { approved: true, by: "x", evidence: "signed" },
  ])("that is not exactly one is no answer: %j", async (answer) => {
    const surface = desk();
    const { vault, decide } = setUp({}, surface);
    const decision = codeOf(decide());
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    surface.answer(answer);
    expect(await decision).toBe("ERR_DENIED");
    expect(vault.notes.at(-1)).toMatchObject({ reason: "nobody who was asked can answer" });
  });

  it("is read once: what the surface changes afterwards does not matter", async () => {
    let reads = 0;
    const tricky = {
      get approved() {
        reads += 1;
        return reads > 1;
      },
      by: "x",
    };
    const surface = desk();
    const { decide } = setUp({}, surface);
    const decision = codeOf(decide());
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    surface.answer(tricky);
    expect(await decision).toBe("ERR_DENIED");
    expect(reads).toBe(1);
  });

  it("of a surface that no longer counts is none", async () => {
    const surface = desk();
    const { decide } = setUp({}, surface);
    const decision = codeOf(decide());
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    surface.counting = false;
    surface.answer(YES);
    expect(await decision).toBe("ERR_DENIED");
  });
});

describe("surfaces", () => {
  it("that throw are no yes and no no: the others go on", async () => {
    const [broken, good] = [desk("broken"), desk("good")];
    const atOnce = {
      ...desk("at once"),
      ask: () => {
        throw new Error("at once");
      },
    };
    const { decide } = setUp({}, broken, atOnce, good);
    const decision = decide();
    await vi.waitFor(() => expect(good.asked).toBe(1));
    broken.fail();
    await setTimeout(5);
    good.answer(YES);
    expect(await decision).toMatchObject({ via: "good" });
  });

  it("that have all failed end it at once", async () => {
    const [one, two] = [desk("one"), desk("two")];
    const { vault, decide } = setUp({}, one, two);
    const decision = codeOf(decide());
    await vi.waitFor(() => expect(two.asked).toBe(1));
    one.fail();
    two.fail();
    expect(await decision).toBe("ERR_DENIED");
    expect(vault.notes.at(-1)).toMatchObject({
      kind: "deny",
      reason: "nobody who was asked can answer",
    });
  });

  it("that are added are asked what is still open, if they count", async () => {
    const [early, late, weak] = [desk("early"), desk("late"), desk("weak")];
    weak.counting = false;
    const { broker, decide } = setUp({}, early);
    const decision = decide();
    await vi.waitFor(() => expect(early.asked).toBe(1));
    broker.addSurface(late);
    broker.addSurface(weak);
    await vi.waitFor(() => expect(late.asked).toBe(1));
    late.answer(YES);
    expect(await decision).toMatchObject({ via: "late" });
    expect(weak.asked).toBe(0);
    // What is over is not kept.
    let judged = 0;
    const later = desk("later");
    later.counting = () => {
      judged += 1;
      return true;
    };
    broker.addSurface(later);
    expect(judged).toBe(0);
  });

  it("that fail before the others are asked do not end it", async () => {
    const [first, early] = [desk("first"), desk("early")];
    const { vault, broker, decide } = setUp({}, first);
    const { record } = vault;
    const writing = Promise.withResolvers<void>();
    vault.record = async (event) => {
      await writing.promise;
      return record(event);
    };
    const decision = decide();
    await setTimeout(5);
    broker.addSurface(early);
    await vi.waitFor(() => expect(early.asked).toBe(1));
    early.fail();
    await setTimeout(5);
    writing.resolve();
    await vi.waitFor(() => expect(first.asked).toBe(1));
    // Asked once, though it was there at both times.
    expect(early.asked).toBe(1);
    first.answer(YES);
    expect(await decision).toMatchObject({ via: "first" });
  });

  it("count only by a plain true", async () => {
    const odd = { ...desk("odd"), counts: () => "yes" as never };
    const { decide } = setUp({}, odd);
    expect(await codeOf(decide())).toBe("ERR_DENIED");
    expect(odd.asked).toBe(0);
  });

  it("that do not count are not asked beside one that does", async () => {
    const [strong, weak] = [desk("strong"), desk("weak")];
    weak.counting = false;
    const { decide } = setUp({}, weak, strong);
    const decision = decide();
    await vi.waitFor(() => expect(strong.asked).toBe(1));
    strong.answer(YES);
    await decision;
    expect(weak.asked).toBe(0);
  });

  it("that are removed are told, and their yes is worth nothing", async () => {
    const [one, two] = [desk("one"), desk("two")];
    const { broker, decide } = setUp({}, two);
    const remove = broker.addSurface(one);
    const decision = codeOf(decide());
    await vi.waitFor(() => expect(one.asked).toBe(1));
    remove();
    expect(one.signals[0]?.aborted).toBe(true);
    one.answer(YES);
    await setTimeout(5);
    two.answer(NO);
    expect(await decision).toBe("ERR_DENIED");
  });

  it("made of functions count for what is dangerous only if they say so", async () => {
    const ask = () => YES;
    const { broker, decide } = setUp({}, createProgrammaticSurface({ ask }));
    expect(await codeOf(decide())).toBe("ERR_DENIED");
    expect(await decide({ safety: "moderate", required: true })).toMatchObject({ via: "program" });
    broker.addSurface(createProgrammaticSurface({ name: "hsm", ask, provesApprover: true }));
    expect(await decide()).toMatchObject({ via: "hsm" });
  });
});

describe("the end of the time", () => {
  it("denies with ERR_APPROVAL_TIMEOUT, and tells the surfaces", async () => {
    const surface = desk();
    const { vault, decide } = setUp({}, surface);
    expect(await codeOf(decide({ timeoutMs: 20 }))).toBe("ERR_APPROVAL_TIMEOUT");
    expect(surface.signals[0]?.aborted).toBe(true);
    expect(vault.notes).toMatchObject([{ kind: "request" }, { kind: "expire" }]);
    surface.answer(YES);
    await setTimeout(5);
    expect(kinds(vault)).toEqual(["request", "expire"]);
  });

  it("comes also when the clock was set back", async () => {
    const clock = { now: 1_800_000_000_000 };
    const surface = desk();
    const { decide } = setUp({ clock: () => clock.now }, surface);
    const decision = codeOf(decide({ timeoutMs: 50 }));
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    clock.now -= 3_600_000;
    expect(await decision).toBe("ERR_APPROVAL_TIMEOUT");
  });

  it("has come when the clock says so: a yes after it is late", async () => {
    const clock = { now: 1_800_000_000_000 };
    const surface = desk();
    const { decide } = setUp({ clock: () => clock.now }, surface);
    const decision = codeOf(decide({ timeoutMs: 60_000 }));
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    clock.now += 60_000;
    surface.answer(YES);
    expect(await decision).toBe("ERR_APPROVAL_TIMEOUT");
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 86_400_001])(
    "is 1 ms to 24 hours away, not %d",
    async (timeoutMs) => {
      const { decide } = setUp({}, desk());
      expect(await codeOf(decide({ timeoutMs }))).toBe("ERR_INVALID_ARGUMENT");
    },
  );
});

describe("giving up", () => {
  it("rejects with the reason of the signal; the log has a no", async () => {
    const surface = desk();
    const { vault, decide } = setUp({}, surface);
    const controller = new AbortController();
    const decision = decide({ signal: controller.signal });
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    const reason = new Error("changed my mind");
    controller.abort(reason);
    await expect(decision).rejects.toBe(reason);
    expect(kinds(vault)).toEqual(["request", "deny"]);
    expect(surface.signals[0]?.aborted).toBe(true);
  });

  it("before the beginning asks nobody", async () => {
    const surface = desk();
    const { vault, decide } = setUp({}, surface);
    await expect(decide({ signal: AbortSignal.abort("no") })).rejects.toBe("no");
    expect(surface.asked).toBe(0);
    expect(vault.notes).toEqual([]);
  });

  it("while nobody is asked yet is heard all the same", async () => {
    const controller = new AbortController();
    const surface = desk();
    const { decide } = setUp(
      {
        async policy() {
          controller.abort(new Error("enough"));
          return policyOf();
        },
      },
      surface,
    );
    await expect(decide({ signal: controller.signal })).rejects.toThrow("enough");
    expect(surface.asked).toBe(0);
  });

  it("leaves no timer and no listener behind a decision", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const controller = new AbortController();
      const { decide } = setUp(
        {},
        createProgrammaticSurface({ ask: () => YES, provesApprover: true }),
      );
      await decide({ signal: controller.signal });
      expect(vi.getTimerCount()).toBe(0);
      expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("close denies what is open and refuses the rest", async () => {
    const surface = desk();
    const { broker, vault, decide } = setUp({}, surface);
    const decision = codeOf(decide());
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    broker.close();
    expect(await decision).toBe("ERR_DENIED");
    expect(vault.notes.at(-1)).toMatchObject({ kind: "deny", reason: "the broker was closed" });
    expect(await codeOf(decide())).toBe("ERR_CLOSED");
  });
});

describe("grants", () => {
  it("answer before anybody is asked", async () => {
    const surface = desk();
    const { vault, decide } = setUp({}, surface);
    vault.granted = { id: "g1", by: "Ada" };
    expect(await decide()).toMatchObject({ via: "grant", by: "Ada", grantId: "g1" });
    expect(surface.asked).toBe(0);
  });

  it("are looked for as what the action is: the action, its danger, and who asks", async () => {
    const { vault, broker } = setUp();
    const queries: unknown[] = [];
    vault.grants.match = async (query) => {
      queries.push(query);
      return { id: "g1", by: "Ada" };
    };
    const requester = { processId: process.pid };
    await broker.decide(ACTION, { safety: "dangerous" });
    await broker.decide(ACTION, { safety: "moderate", required: true, requester });
    const own = expect.stringContaining(`:${process.pid}:`);
    expect(queries).toMatchObject([
      { action: ACTION, dangerous: true, processes: [] },
      { action: ACTION, dangerous: false, processes: expect.arrayContaining([own]) },
    ]);
  });

  it("for a command need a program, and for a destination that: one is not the other", async () => {
    for (const [scope, action] of [
      ["command", { ...ACTION, destination: "h:443" }],
      ["destination", { ...ACTION, binary: "/bin/ls" }],
    ] as const) {
      const { vault, broker } = setUp(
        {},
        createProgrammaticSurface({ ask: () => ({ ...YES, scope }), provesApprover: true }),
      );
      expect((await broker.decide(action, { safety: "dangerous" })).grantId).toBeUndefined();
      expect(vault.added).toEqual([]);
    }
  });

  it.each([
    [{ minutes: 5 }, { scope: "minutes", minutes: 5 }],
    ["command", { scope: "command", minutes: 480 }],
    ["destination", { scope: "destination", minutes: 480 }],
    [
      "process-tree",
      { scope: "process-tree", process: expect.stringMatching(/^linux:.*:\d+:\d+$/) },
    ],
  ] as const)("are made by a yes of scope %j", async (scope, expected) => {
    const surface = createProgrammaticSurface({
      ask: () => ({ ...YES, scope }),
      provesApprover: true,
    });
    const { vault, broker } = setUp({}, surface);
    const action = { ...ACTION, binary: "/bin/ls", argv: ["ls"], destination: "h:443" };
    const requester = { processId: process.ppid };
    const made = await broker.decide(action, { safety: "dangerous", requester });
    expect(made.grantId).toBe("grant-1");
    expect(vault.added).toMatchObject([{ ...expected, dangerous: true, by: "Ada", action }]);
  });

  it.each(["once", undefined, "command", "destination", "process-tree"] as const)(
    "are not made by a yes of scope %s, when the action has nothing for it",
    async (scope) => {
      const answer = scope === undefined ? YES : { ...YES, scope };
      const { vault, decide } = setUp(
        {},
        createProgrammaticSurface({ ask: () => answer, provesApprover: true }),
      );
      expect((await decide()).grantId).toBeUndefined();
      expect(vault.added).toEqual([]);
    },
  );
});

describe("the policy", () => {
  const ALL = ["safe", "moderate", "dangerous"] as const satisfies Safety[];
  const asks = async (
    policy: Parameters<typeof policyOf>[0],
    more: { readonly required?: boolean; readonly tool?: string } = {},
  ): Promise<string[]> => {
    const asked: string[] = [];
    for (const safety of ALL) {
      const vault = memoryVault();
      const broker = createBroker({ vault, policy: async () => policyOf(policy) });
      const { tool = "files.write", required = false } = more;
      const code = await codeOf(broker.decide({ session: "s", tool }, { safety, required }));
      if (code === "ERR_DENIED") asked.push(safety);
    }
    return asked;
  };

  it("says which safety needs an approval", async () => {
    expect(await asks({ approvalPolicy: "all" })).toEqual([...ALL]);
    expect(await asks({ approvalPolicy: "dangerous" })).toEqual(["dangerous"]);
    expect(await asks({ approvalPolicy: "configured" })).toEqual([]);
    expect(await asks({ approvalPolicy: "none" })).toEqual([]);
    expect(await asks({ approvalPolicy: "all", enabled: false })).toEqual([]);
  });

  it("puts exempt before sensitive before the policy, by names with dots or underscores", async () => {
    const both = { exemptTools: ["files_write"], sensitiveTools: ["files.write"] };
    expect(await asks({ approvalPolicy: "all", ...both })).toEqual([]);
    for (const name of ["files.write", "files_write"]) {
      for (const tool of ["files.write", "files_write"]) {
        const sensitiveTools = [name];
        expect(await asks({ approvalPolicy: "configured", sensitiveTools }, { tool })).toEqual([
          ...ALL,
        ]);
        expect(await asks({ approvalPolicy: "none", sensitiveTools }, { tool })).toEqual([]);
        expect(await asks({ approvalPolicy: "all", exemptTools: [name] }, { tool })).toEqual([]);
      }
    }
  });

  it("is not asked about what needs an approval each time", async () => {
    const required = true;
    expect(await asks({ approvalPolicy: "none", enabled: false }, { required })).toEqual([...ALL]);
    expect(await asks({ exemptTools: ["files.write"] }, { required })).toEqual([...ALL]);
  });
});

describe("what was approved", () => {
  it("cannot be changed while people think about it", async () => {
    const surface = desk();
    const { broker } = setUp({}, surface);
    const action = { session: "s", tool: "exec", arguments: { list: ["ls"] }, argv: ["ls"] };
    const decision = broker.decide(action, { safety: "dangerous", timeoutMs: 60_000 });
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    action.arguments.list[0] = "rm";
    action.argv.push("-rf");
    surface.answer(YES);
    const { request } = await decision;
    expect(request).toMatchObject({ arguments: { list: ["ls"] }, argv: ["ls"] });
    for (const part of [request, request?.arguments, request?.argv, request?.summary]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it("is the whole of it: a member named __proto__ is shown, one that is undefined is not there", async () => {
    const surface = desk();
    const { broker } = setUp({}, surface);
    const given = { ...JSON.parse('{"__proto__":{"force":true}}'), dry: undefined };
    const decision = broker.decide({ ...ACTION, arguments: given }, { safety: "dangerous" });
    await vi.waitFor(() => expect(surface.asked).toBe(1));
    surface.answer(YES);
    const { request } = await decision;
    expect(JSON.stringify(request?.arguments)).toBe('{"__proto__":{"force":true}}');
    expect(request?.summary[0]).toBe('Argument "__proto__": {"force":true}');
  });

  const deep = (levels: number): never => (levels === 0 ? 1 : { a: deep(levels - 1) }) as never;
  it.each([
    { arguments: { a: Number.NaN } },
    { arguments: { a: "\ud800" } },
    { arguments: { a: () => 1 } },
    { arguments: { a: 1n } },
    { arguments: [] },
    { arguments: deep(40) },
    { arguments: { a: "x".repeat(300_000) } },
    { arguments: { a: "x".repeat(200_000), b: "x".repeat(200_000) } },
    { argv: ["a", 1] },
    { argv: "ls" },
    { session: "" },
    { tool: "x".repeat(257) },
    { secret: 1 },
    { destination: "" },
  ])("is refused when it is odd (%#)", async (odd) => {
    const { broker, vault } = setUp({}, desk());
    const action = { ...ACTION, ...odd } as never;
    expect(await codeOf(broker.decide(action, { safety: "dangerous" }))).toBe(
      "ERR_INVALID_ARGUMENT",
    );
    expect(vault.notes).toEqual([]);
  });
});
