import { Readable } from "node:stream";
import { inspect, types } from "node:util";
import { CryptoError, isCryptoError, toBase64, toHex, utf8 } from "@lango/crypto-core";
import {
  createPiiRedactor,
  createScanner,
  type ToolDefinition,
  type ToolHandler,
} from "@lango/guard";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { API_KEY, PASSWORD, rig } from "./fixtures/rig.ts";

const definition: ToolDefinition = {
  name: "http.request",
  description: "Sends a request",
  inputSchema: { type: "object" },
  safety: "moderate",
  references: ["headers"],
  target: ({ url }) => {
    const { hostname, port } = new URL(String(url));
    return { kind: "destination", host: hostname, port: Number(port || 443) };
  },
};

/** What a tool of this handler gives for `args`. */
const outcome = async (
  handler: ToolHandler,
  args: unknown = {},
  options: Parameters<typeof rig>[0] = {},
): Promise<unknown> => {
  const { guard } = await rig(options);
  const plain: ToolDefinition = {
    name: "plain",
    description: "",
    inputSchema: {},
    safety: "safe",
  };
  return guard.wrapTool(plain, handler).call(args);
};

const failure = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
};

const collect = async (source: AsyncIterable<unknown>): Promise<unknown[]> => {
  const chunks: unknown[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return chunks;
};

/** Everything that can be seen of a value, also of errors. */
const shownAs = (value: unknown): string =>
  `${inspect(value, { depth: 20, showHidden: true })} ${
    value instanceof Error ? `${value.stack} ${shownAs(value.cause)}` : ""
  }`;

describe("a call", () => {
  test("asks, puts values into the declared parameters only, and masks the result", async () => {
    const { guard, broker, resolver } = await rig();
    let got: unknown;
    const tool = guard.wrapTool(definition, (args) => {
      got = args;
      return { echo: args, status: 200 };
    });
    const args = {
      url: "https://api.example.com/v1",
      headers: { authorization: ["Bearer {{secret:api_key}}", 1] },
      body: "the text {{secret:api_key}} stays",
    };
    expect(await tool.call(args)).toEqual({
      status: 200,
      echo: { ...args, headers: { authorization: ["Bearer [SECRET:api_key]", 1] } },
    });
    expect(got).toEqual({ ...args, headers: { authorization: [`Bearer ${API_KEY}`, 1] } });
    expect(Object.isFrozen(got)).toBe(true);
    expect(resolver.opened).toEqual(["api_key"]);
    expect(broker.asked).toEqual([
      {
        action: { session: "s-1", tool: "http.request", arguments: args },
        options: { safety: "moderate", required: false },
      },
    ]);
  });

  test("a secret that lists nothing needs an approver for its use, each time", async () => {
    const { guard, broker, resolver } = await rig({
      decide: ({ options }) => options.required !== true,
    });
    const tool = guard.wrapTool(definition, () => "never");
    const call = tool.call({
      url: "https://api.example.com:8443/",
      headers: { a: "{{secret:db/password}}" },
    });
    await expect(call).rejects.toMatchObject({ code: "ERR_DENIED" });
    expect(broker.asked[1]).toMatchObject({
      action: { secret: "db/password", destination: "api.example.com:8443" },
      options: { safety: "dangerous", required: true },
    });
    expect(resolver.opened).toEqual([]);
  });

  test("what a secret does not list, and a name that is not there, are one refusal", async () => {
    const { guard, resolver } = await rig();
    const tool = guard.wrapTool(definition, () => "never");
    const errors = await Promise.all(
      [
        { url: "https://evil.example/", headers: { a: "{{secret:api_key}}" } },
        { url: "https://evil.example/", headers: { a: "{{secret:nothing}}" } },
      ].map(async (args) => String(await failure(tool.call(args)))),
    );
    expect(new Set(errors).size).toBe(1);
    // A tool that does not say where it sends things is covered by no list.
    const mute = guard.wrapTool(
      { name: "mute", description: "", inputSchema: {}, safety: "safe", references: ["token"] },
      () => "never",
    );
    await expect(mute.call({ token: "{{secret:api_key}}" })).rejects.toMatchObject({
      code: "ERR_DENIED",
    });
    expect(resolver.opened).toEqual([]);
  });

  test("runs nothing without approval, and shows no withheld or known value to who is asked", async () => {
    const { guard, broker } = await rig({ decide: () => false });
    let ran = false;
    const tool = guard.wrapTool({ ...definition, withheld: ["value", "list"] }, () => {
      ran = true;
    });
    const args = {
      url: "https://api.example.com/",
      value: "s3cr3t-new-value",
      list: ["s3cr3t-new-value"],
      note: `the key is ${API_KEY}`,
    };
    await expect(tool.call(args)).rejects.toMatchObject({ code: "ERR_DENIED" });
    expect(ran).toBe(false);
    expect(broker.asked[0]!.action.arguments).toEqual({
      url: "https://api.example.com/",
      value: expect.stringMatching(/^\[withheld, 18 characters, tag [0-9a-f]{16}\]$/),
      list: expect.stringMatching(/^\[withheld, 20 characters, tag [0-9a-f]{16}\]$/),
      note: "the key is [SECRET:api_key]",
    });
    // What is approved for one value is not approved for another of the same length.
    await failure(tool.call(args));
    await failure(tool.call({ ...args, value: "s3cr3t-old-value" }));
    const [first, again, other] = broker.asked.map(({ action }) => action.arguments?.["value"]);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test("what is approved is what runs, whatever the caller does to its arguments meanwhile", async () => {
    const args: Record<string, unknown> = { path: "/tmp/good" };
    const { guard } = await rig({
      decide: () => {
        args["path"] = "/etc/shadow";
        return true;
      },
    });
    const tool = guard.wrapTool(
      { name: "read", description: "", inputSchema: {}, safety: "dangerous" },
      ({ path }) => path,
    );
    expect(await tool.call(args)).toBe("/tmp/good");
  });

  test.each([
    ["nothing", undefined],
    ["a list", []],
    ["a text", "{}"],
    ["a function in it", { a: () => 1 }],
    ["NaN", { a: Number.NaN }],
    ["an instance", { a: new URL("https://a.example") }],
    [
      "what refers to itself",
      (() => {
        const loop: Record<string, unknown> = {};
        loop["self"] = loop;
        return loop;
      })(),
    ],
  ])("arguments that are no JSON object are refused: %s", async (_, args) => {
    expect(await failure(outcome(() => "never", args ?? null))).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
  });

  test("the definition refuses arguments before anybody is asked, and its error is masked", async () => {
    const { guard, broker } = await rig();
    const tool = guard.wrapTool(
      {
        ...definition,
        check: (args) => {
          throw new TypeError(`bad: ${JSON.stringify(args)}`);
        },
      },
      () => "never",
    );
    const error = await failure(tool.call({ note: API_KEY }));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toBe('TypeError: bad: {"note":"[SECRET:api_key]"}');
    expect(broker.asked).toEqual([]);
  });

  test("a malformed reference in a declared parameter, and a value that is no text, are errors", async () => {
    const secrets = { bytes: { value: new Uint8Array([0xff, 0xfe, 1, 2, 3, 4, 5, 6]) } };
    const { guard } = await rig({ secrets });
    const tool = guard.wrapTool(definition, () => "never");
    for (const reference of ["{{secret:../x}}", "{{secret:bytes}}"]) {
      const call = tool.call({ url: "https://a.example", headers: reference });
      await expect(call).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    }
  });

  test("a value that is newer than the scanner is masked all the same", async () => {
    const { guard } = await rig({ scanner: await createScanner() });
    const tool = guard.wrapTool(definition, ({ headers }) => `sent ${JSON.stringify(headers)}`);
    const args = { url: "https://api.example.com", headers: { a: "{{secret:api_key}}" } };
    expect(await tool.call(args)).toBe('sent {"a":"[SECRET:api_key]"}');
  });

  test("so is one of which another secret is a part", async () => {
    const part = { name: "part", value: utf8(API_KEY.slice(0, 7)) };
    const { guard } = await rig({ scanner: await createScanner({ secrets: [part] }) });
    const tool = guard.wrapTool(definition, ({ headers }) => `sent ${JSON.stringify(headers)}`);
    const args = { url: "https://api.example.com", headers: { a: "{{secret:api_key}}" } };
    expect(await tool.call(args)).toBe('sent {"a":"[SECRET:api_key]"}');
  });

  test("a value cannot change where the tool sends it", async () => {
    const listed = { destinations: ["api.example.com"], commands: [] };
    const { guard } = await rig({
      secrets: {
        host: { value: "evil.example/", policy: listed },
        path: { value: "v1/users", policy: listed },
      },
    });
    const sent: unknown[] = [];
    const tool = guard.wrapTool({ ...definition, references: ["url"] }, ({ url }) => {
      sent.push(url);
    });
    const moved = tool.call({ url: "https://{{secret:host}}@api.example.com/" });
    await expect(moved).rejects.toMatchObject({ code: "ERR_DENIED" });
    expect(sent).toEqual([]);
    await tool.call({ url: "https://api.example.com/{{secret:path}}" });
    expect(sent).toEqual(["https://api.example.com/v1/users"]);
  });

  test("the broker is told who asks", async () => {
    const requester = { processId: 12345, client: "c" };
    const { guard, broker } = await rig({ requester });
    const tool = guard.wrapTool(definition, () => "done");
    const args = { url: "https://a.example", headers: { a: "{{secret:db/password}}" } };
    await tool.call(args);
    expect(broker.asked.map(({ options }) => options.requester)).toEqual([requester, requester]);
  });

  test("a handler is told as what its call was approved", async () => {
    const { guard } = await rig();
    const seen: unknown[] = [];
    const approval = ({ grave }: { readonly grave?: unknown }) =>
      grave === true ? { safety: "dangerous" as const } : {};
    const tool = guard.wrapTool(
      { name: "t", description: "", inputSchema: {}, safety: "moderate", approval },
      (_, { safety, approvedBy }) => void seen.push([safety, approvedBy]),
    );
    await tool.call({});
    await tool.call({ grave: true });
    expect(seen).toEqual([
      ["moderate", "test"],
      ["dangerous", "test"],
    ]);
  });

  test("a member named __proto__ is one like the others", async () => {
    const args = JSON.parse('{"__proto__":{"a":1}}');
    const result = await outcome((given) => given, args);
    expect(JSON.stringify(result)).toBe('{"__proto__":{"a":1}}');
  });
});

describe("a result", () => {
  const forms = { raw: API_KEY, base64: toBase64(utf8(API_KEY)), hex: toHex(utf8(API_KEY)) };

  test("is masked in every form, at any depth, in names, bytes, numbers and collections", async () => {
    const self: Record<string, unknown> = { a: API_KEY };
    self["self"] = self;
    const secrets = { pin: { value: "83027165" }, api_key: { value: API_KEY } };
    const result = (await outcome(
      () => ({
        ...forms,
        [`name ${API_KEY}`]: 1,
        bytes: utf8(`b ${API_KEY}`),
        buffer: Buffer.from(`b ${API_KEY}`),
        words: new Uint16Array(utf8(`${API_KEY}!`).buffer),
        view: new DataView(utf8(API_KEY).buffer),
        memory: utf8(API_KEY).buffer,
        numbers: [...utf8(API_KEY)],
        few: [1, 2, 3],
        pin: 83027165,
        big: 83027165n,
        map: new Map([[API_KEY, { deep: [[API_KEY]] }]]),
        set: new Set([API_KEY]),
        url: new URL(`https://a.example/?k=${API_KEY}`),
        date: new Date(0),
        boxed: new String(API_KEY),
        self,
        dropped: () => API_KEY,
        none: null,
        truth: true,
      }),
      {},
      { secrets },
    )) as Record<string, unknown>;
    const seen = shownAs(result);
    for (const form of Object.values(forms)) expect(seen).not.toContain(form);
    expect(seen).not.toContain("83027165");
    expect(result).toMatchObject({
      "name [SECRET:api_key]": 1,
      numbers: "[SECRET:api_key]",
      few: [1, 2, 3],
      pin: "[SECRET:pin]",
      map: new Map([["[SECRET:api_key]", { deep: [["[SECRET:api_key]"]] }]]),
      url: "https://a.example/?k=[SECRET:api_key]",
      date: new Date(0),
      boxed: "[SECRET:api_key]",
      none: null,
      truth: true,
    });
    for (const name of ["bytes", "buffer"]) {
      expect(result[name]).toEqual(utf8("b [SECRET:api_key]"));
      expect(Buffer.isBuffer(result[name])).toBe(false);
    }
    const copy = result["self"] as Record<string, unknown>;
    expect(copy["self"]).toBe(copy);
  });

  test("shares nothing with what the tool keeps", async () => {
    const bytes = utf8("nothing secret");
    const list = [1];
    const result = (await outcome(() => ({ bytes, list }))) as { bytes: Uint8Array; list: unknown };
    bytes.fill(0);
    expect(result.bytes).toEqual(utf8("nothing secret"));
    expect(result.list).not.toBe(list);
  });

  test("an instance of a class shows its own members only", async () => {
    class Client {
      readonly host = "a.example";
      readonly #token = API_KEY;
      toString(): string {
        return this.#token;
      }
    }
    const result = await outcome(() => new Client());
    expect(result).toEqual({ host: "a.example" });
    expect(String(result)).toBe("[object Object]");
  });

  test("that nests without end is refused", async () => {
    let deep: unknown = API_KEY;
    for (let i = 0; i < 20_000; i++) deep = [deep];
    expect(await failure(outcome(() => deep))).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  test("personal data is redacted, but not in exact results", async () => {
    const redactor = createPiiRedactor();
    const handler: ToolHandler = () => ({ from: "ada@example.org", key: API_KEY });
    expect(await outcome(handler, {}, { redactor })).toEqual({
      from: "[REDACTED]",
      key: "[SECRET:api_key]",
    });
    const { guard } = await rig({ redactor });
    const exact = guard.wrapTool({ ...definition, exact: true, references: [] }, handler);
    expect(await exact.call({ url: "https://a.example" })).toEqual({
      from: "ada@example.org",
      key: "[SECRET:api_key]",
    });
  });
});

describe("a stream", () => {
  /** A tool of a third party that streams what it is told, in pieces. */
  const pieces = (text: string, at: readonly number[]): string[] => {
    const cuts = [0, ...at.toSorted((a, b) => a - b), text.length];
    return cuts.slice(1).map((to, i) => text.slice(cuts[i], to));
  };
  const text = `key ${API_KEY}, again ${toBase64(utf8(PASSWORD))} é😀 end`;

  test("is masked wherever it is cut: text, bytes, of iterables, web streams and Node's", async () => {
    const { guard, scanner } = await rig();
    const expected = new TextDecoder().decode(scanner.scan(utf8(text)).output);
    expect(expected).toContain("[SECRET:api_key]");
    const wrap = (handler: ToolHandler) =>
      guard.wrapTool({ ...definition, references: [] }, handler).call({ url: "https://a.example" });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 12 }),
        async (at) => {
          const chunks = pieces(text, at);
          const generated = await wrap(async function* () {
            yield* chunks;
          });
          expect((await collect(generated as AsyncIterable<unknown>)).join("")).toBe(expected);
          const streamed = (await wrap(() =>
            ReadableStream.from(chunks),
          )) as ReadableStream<string>;
          expect((await collect(streamed)).join("")).toBe(expected);
          const bytes = chunks.map((chunk) => Buffer.from(chunk.toWellFormed()));
          const flat = new TextDecoder().decode(scanner.scan(Buffer.concat(bytes)).output);
          const read = (await wrap(() => Readable.from(bytes))) as Readable;
          expect(read).toBeInstanceOf(Readable);
          expect(Buffer.concat((await collect(read)) as Uint8Array[]).toString()).toBe(flat);
        },
      ),
    );
  });

  test("objects in it are masked one by one", async () => {
    const result = await outcome(async function* () {
      yield { delta: API_KEY };
      yield ["b", 2];
    });
    expect(await collect(result as AsyncIterable<unknown>)).toEqual([
      { delta: "[SECRET:api_key]" },
      ["b", 2],
    ]);
  });

  test("with a redactor it is redacted by lines", async () => {
    const redactor = createPiiRedactor();
    const lines = `from ada@exam|ple.org\nkey ${API_KEY.slice(0, 9)}|${API_KEY.slice(9)} b@c.org`;
    const result = await outcome(() => ReadableStream.from(lines.split("|")), {}, { redactor });
    const chunks = await collect(result as ReadableStream<string>);
    expect(chunks.join("")).toBe("from [REDACTED]\nkey [SECRET:api_key] [REDACTED]");
  });

  test("that fails gives a masked error, after what was good", async () => {
    const result = (await outcome(async function* () {
      yield "good ";
      throw new Error(`lost ${API_KEY}`, { cause: { token: API_KEY } });
    })) as AsyncIterator<unknown>;
    expect(await result.next()).toEqual({ value: "good ", done: false });
    const error = await failure(result.next());
    expect(String(error)).toBe("Error: lost [SECRET:api_key]");
    expect(shownAs(error)).not.toContain(API_KEY);
  });

  test("that does not even begin gives a masked error", async () => {
    const result = (await outcome(() => ({
      [Symbol.asyncIterator]() {
        throw new Error(`no ${API_KEY}`);
      },
    }))) as AsyncIterator<unknown>;
    expect(String(await failure(result.next()))).toBe("Error: no [SECRET:api_key]");
  });

  test("that is left early, cancelled or aborted ends its source, also one that hangs", async () => {
    const { guard } = await rig();
    const call = async (signal?: AbortSignal) => {
      let ended: () => void = () => {};
      const isEnded = new Promise<void>((resolve) => {
        ended = resolve;
      });
      const source: AsyncIterable<string> = {
        [Symbol.asyncIterator]: () => {
          let given = 0;
          return {
            next: () =>
              given++ === 0
                ? Promise.resolve({ value: "one ", done: false })
                : new Promise(() => {}),
            async return() {
              ended();
              return { value: undefined, done: true };
            },
          };
        },
      };
      const tool = guard.wrapTool(
        { name: "t", description: "", inputSchema: {}, safety: "safe" },
        () => source,
      );
      return { isEnded, result: (await tool.call({}, { signal })) as AsyncIterator<unknown> };
    };
    const left = await call();
    await left.result.next();
    await left.result.return?.();
    await left.isEnded;

    const hanging = await call();
    await hanging.result.next();
    const pending = failure(hanging.result.next() as Promise<unknown>);
    await hanging.result.return?.();
    await hanging.isEnded;
    await pending;

    const controller = new AbortController();
    const aborted = await call(controller.signal);
    await aborted.result.next();
    const reason = new Error("enough");
    const waiting = failure(aborted.result.next() as Promise<unknown>);
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    await aborted.isEnded;
  });
});

describe("an error", () => {
  class ServiceError extends Error {
    readonly request: unknown;
    constructor(message: string, request: unknown, options: ErrorOptions) {
      super(message, options);
      this.request = request;
    }
  }

  test("of a third party is masked in message, stack, members, causes and what it gathers", async () => {
    const base64 = toBase64(utf8(`user:${PASSWORD}`));
    const error = await failure(
      outcome(() => {
        const inner = new RangeError(`inner ${API_KEY}`, { cause: `text ${API_KEY}` });
        const gathered = new AggregateError([inner, API_KEY], `all ${API_KEY}`);
        throw new ServiceError(
          `401 with Basic ${base64}`,
          { headers: { a: API_KEY } },
          {
            cause: gathered,
          },
        );
      }),
    );
    expect(error).toBeInstanceOf(ServiceError);
    expect(types.isNativeError(error)).toBe(true);
    const { cause, request } = error as ServiceError;
    expect(cause).toBeInstanceOf(AggregateError);
    expect((cause as AggregateError).errors[0]).toBeInstanceOf(RangeError);
    expect(request).toEqual({ headers: { a: "[SECRET:api_key]" } });
    for (const form of [API_KEY, PASSWORD, base64, toBase64(utf8(PASSWORD)).slice(2, -2)]) {
      expect(shownAs(error)).not.toContain(form);
    }
  });

  test("of Lango stays one, with its code, hint and retryable", async () => {
    const error = await failure(
      outcome(() => {
        throw new CryptoError("ERR_UNAVAILABLE", `no answer for ${API_KEY}`, {
          context: { hint: `try ${API_KEY}`, keyId: API_KEY },
          retryable: false,
          cause: new Error(API_KEY),
        });
      }),
    );
    expect(isCryptoError(error)).toBe(true);
    expect(error).toMatchObject({
      code: "ERR_UNAVAILABLE",
      message: "no answer for [SECRET:api_key]",
      retryable: false,
      context: { hint: "try [SECRET:api_key]", keyId: "[SECRET:api_key]" },
    });
    expect(shownAs(error)).not.toContain(API_KEY);
  });

  test.each([
    ["a text", () => API_KEY, "[SECRET:api_key]"],
    ["nothing", () => undefined, undefined],
    ["an object", () => ({ a: API_KEY }), { a: "[SECRET:api_key]" }],
  ])("may be %s", async (_, thrown, expected) => {
    expect(
      await failure(
        outcome(() => {
          throw thrown();
        }),
      ),
    ).toEqual(expected);
  });

  test("that stands before another one shows nothing of it", async () => {
    const inner = Object.assign(new Error("inner"), { token: API_KEY });
    const outer: unknown = Object.create(inner, { message: { value: "outer" } });
    const error = (await failure(
      outcome(() => {
        throw outer;
      }),
    )) as Error & { readonly token?: string };
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toBe("outer");
    expect(error.token).toBeUndefined();
  });

  test("that cannot be read is replaced", async () => {
    const hostile = new Error("x");
    Object.defineProperty(hostile, "message", {
      get() {
        throw new Error(API_KEY);
      },
    });
    const error = await failure(
      outcome(() => {
        throw hostile;
      }),
    );
    expect(error).toMatchObject({ code: "ERR_INTERNAL" });
    expect(shownAs(error)).not.toContain(API_KEY);
  });

  test("causes that go round are followed once; a DOMException stays one", async () => {
    const a = new Error(`a ${API_KEY}`);
    const b = new Error(`b ${API_KEY}`, { cause: a });
    a.cause = b;
    const error = (await failure(
      outcome(() => {
        throw a;
      }),
    )) as Error;
    expect(((error.cause as Error).cause as Error).message).toBe("a [SECRET:api_key]");
    const dom = await failure(
      outcome(() => {
        throw new DOMException(`quota ${API_KEY}`, "QuotaExceededError");
      }),
    );
    expect(dom).toMatchObject({ name: "QuotaExceededError", message: "quota [SECRET:api_key]" });
  });
});

describe("a cancellation", () => {
  test("before, during the approval and during the work rejects with the signal's reason", async () => {
    const reason = new Error("stop");
    const { guard } = await rig();
    const before = guard.wrapTool({ ...definition, references: [] }, () => "never");
    await expect(
      before.call({ url: "https://a.example" }, { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    const controller = new AbortController();
    let heard: unknown;
    const during = guard.wrapTool(
      { name: "t", description: "", inputSchema: {}, safety: "safe" },
      (_, { signal }) => {
        signal.addEventListener("abort", () => {
          heard = signal.reason;
        });
        controller.abort(reason);
        return new Promise(() => {});
      },
    );
    await expect(during.call({}, { signal: controller.signal })).rejects.toBe(reason);
    expect(heard).toBe(reason);
  });
});

describe("chat text and logs", () => {
  test("text is masked whole and in chunks, and says which way it went", async () => {
    const exits: string[] = [];
    const { guard } = await rig({ onFinding: ({ name }, exit) => exits.push(`${exit} ${name}`) });
    expect(guard.text("in").mask(`my key is ${API_KEY}`)).toBe("my key is [SECRET:api_key]");
    const stream = guard.text("out").stream();
    const chunks = [...`It is ${API_KEY}.`].map((letter) => stream.write(letter));
    expect(chunks.join("") + stream.end()).toBe("It is [SECRET:api_key].");
    const web = ReadableStream.from(["It is ", API_KEY.slice(0, 5), API_KEY.slice(5)]);
    expect((await collect(web.pipeThrough(guard.text("out").transform()))).join("")).toBe(
      "It is [SECRET:api_key]",
    );
    expect(exits).toEqual(["text in api_key", "text out api_key", "text out api_key"]);
  });

  test("a console over the log prints no secret, and no line late", async () => {
    const { guard } = await rig({ redactor: createPiiRedactor() });
    let written = "";
    const log = guard.log((bytes) => {
      written += new TextDecoder().decode(bytes);
    });
    const console = new (await import("node:console")).Console(log);
    console.error(new Error(`lost ${API_KEY}`).message);
    console.log({ password: PASSWORD, from: "ada@example.org" });
    expect(written).toBe(
      "lost [SECRET:api_key]\n{ password: '[SECRET:db/password]', from: '[REDACTED]' }\n",
    );
    log.write(API_KEY.slice(0, 8));
    log.end(API_KEY.slice(8));
    await new Promise((resolve) => log.on("finish", resolve));
    expect(written.split("\n").at(-1)).toBe("[SECRET:api_key]");
    expect(guard.mask(API_KEY)).toBe("[SECRET:api_key]");
  });

  test("a value that is too short to be masked says so when it is learnt", async () => {
    const { guard } = await rig();
    expect(await guard.learn({ name: "pin", value: utf8("1234") })).toBe("short");
    expect(await guard.learn({ name: "token", value: utf8("a-longer-token") })).toBe(undefined);
    expect(guard.mask("a-longer-token")).toBe("[SECRET:token]");
  });
});
