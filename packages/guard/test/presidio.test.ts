import { createServer, type Server as HttpServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import * as fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startPresidio } from "../../../tooling/services/presidio.ts";
import type { Server } from "../../../tooling/services/server.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import {
  createPiiRedactor,
  createPresidioDetector,
  type PresidioOptions,
  type ToolHandler,
} from "../src/index.ts";
import { API_KEY, rig } from "./fixtures/rig.ts";

const definition = {
  name: "http.get",
  description: "Fetches an address",
  inputSchema: { type: "object", properties: {} },
  safety: "safe",
} as const;

const guarded = async (detector: ReturnType<typeof createPresidioDetector>, redacts = false) =>
  (await rig({ detector, ...(redacts && { redactor: createPiiRedactor() }) })).guard;

describe("with Presidio", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startPresidio(requireService("presidio"));
  });
  afterAll(() => server?.stop());
  const detector = (more: Partial<PresidioOptions> = {}) =>
    createPresidioDetector({ url: server.url, ...more });

  test("places are right after characters outside the first plane, and in Korean", async () => {
    const text = "😀😀 김철수 wrote to Ada Lovelace 🙂 of ada@example.org";
    const found = await detector().find(text);
    expect(found.map(({ name, start, end }) => [name, text.slice(start, end)])).toEqual([
      ["PERSON", "김철수"],
      ["PERSON", "Ada Lovelace"],
      ["EMAIL_ADDRESS", "ada@example.org"],
    ]);
  });

  test("a finding below the threshold does not count", async () => {
    const text = "call 212-555-0187";
    expect(await detector().find(text)).toEqual([]);
    expect(await detector({ scoreThreshold: 0.3 }).find(text)).toMatchObject([
      { name: "PHONE_NUMBER" },
    ]);
  });

  test("a long text is looked at in pieces that cut no word", async () => {
    const text = `${"filler 😀 words ".repeat(4000)}Ada Lovelace${" more words".repeat(4000)} 김철수`;
    const found = await detector().find(text);
    expect(found.map(({ start, end }) => text.slice(start, end))).toEqual([
      "Ada Lovelace",
      "김철수",
    ]);
  });

  test("results, errors and names of members are redacted, secrets before they are sent", async () => {
    const guard = await guarded(detector());
    const call = (handler: ToolHandler) => guard.wrapTool(definition, handler).call({});
    expect(
      await call(() => ({
        author: "Ada Lovelace",
        "Ada Lovelace": [1, { deep: "😀 김철수" }],
        key: API_KEY,
        bytes: new TextEncoder().encode("by Ada Lovelace"),
        same: new Map([["who", new Set(["Ada Lovelace"])]]),
      })),
    ).toEqual({
      author: "[REDACTED]",
      "[REDACTED]": [1, { deep: "😀 [REDACTED]" }],
      key: "[SECRET:api_key]",
      bytes: new TextEncoder().encode("by [REDACTED]"),
      same: new Map([["who", new Set(["[REDACTED]"])]]),
    });
    const thrown = call(() => {
      throw new TypeError("no Ada Lovelace", { cause: { who: "김철수" } });
    });
    const error = await thrown.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toBe("TypeError: no [REDACTED]");
    expect((error as Error).stack).not.toContain("Ada");
    expect((error as Error).cause).toEqual({ who: "[REDACTED]" });
  });

  test("an exact result is left as it is", async () => {
    const guard = await guarded(detector());
    const tool = guard.wrapTool({ ...definition, exact: true }, () => "Ada Lovelace");
    expect(await tool.call({})).toBe("Ada Lovelace");
  });

  test("a stream is redacted wherever it is cut", async () => {
    const guard = await guarded(detector());
    const text = "by Ada Lovelace\nand 😀 김철수\nend";
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length), fc.nat(text.length), async (a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const chunks = [text.slice(0, from), text.slice(from, to), text.slice(to)];
        const result = await guard
          .wrapTool(definition, async function* () {
            yield* chunks;
          })
          .call({});
        let all = "";
        for await (const chunk of result as AsyncIterable<string>) all += chunk;
        expect(all).toBe("by [REDACTED]\nand 😀 [REDACTED]\nend");
      }),
      { numRuns: 30 },
    );
  });

  test("chat text and web streams of it, with the patterns too; logs by the patterns alone", async () => {
    const guard = await guarded(detector(), true);
    const said = `Ada Lovelace, card 4111 1111 1111 1111, ${API_KEY}`;
    const masked = "[REDACTED], card [REDACTED], [SECRET:api_key]";
    expect(await guard.text("out").redact(said)).toBe(masked);
    const web = ReadableStream.from([said.slice(0, 5), said.slice(5)]);
    let all = "";
    for await (const chunk of web.pipeThrough(guard.text("in").transform())) all += chunk;
    expect(all).toBe(masked);
    expect(() => guard.text("out").mask(said)).toThrow(/cannot answer at once/);
    expect(() => guard.text("out").stream()).toThrow(/cannot answer at once/);
    expect(guard.mask("Ada Lovelace, ada@example.org")).toBe("Ada Lovelace, [REDACTED]");
  });
});

describe("an analyzer that does not do its work", () => {
  let server: HttpServer | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });
  const serve = async (listener: RequestListener): Promise<string> => {
    server = createServer(listener).listen(0, "127.0.0.1");
    await new Promise((resolve) => server?.once("listening", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const answer =
    (body: string, status = 200): RequestListener =>
    (_, response) =>
      response.writeHead(status).end(body);
  const finding = (more: object) =>
    JSON.stringify([{ entity_type: "PERSON", start: 0, end: 1, score: 1, ...more }]);

  test.each<[string, RequestListener, RegExp]>([
    ["an error", answer("{}", 500), /it answered 500/],
    ["no JSON", answer("<html>"), /its answer cannot be read/],
    ["no list", answer('{"error":"x"}'), /its answer cannot be read/],
    ["a place behind the text", answer(finding({ end: 1e9 })), /its answer cannot be read/],
    ["a place before it", answer(finding({ start: -1 })), /its answer cannot be read/],
    ["a place between two", answer(finding({ start: 0.5 })), /its answer cannot be read/],
    ["an end before its start", answer(finding({ start: 2 })), /its answer cannot be read/],
    ["no score", answer(finding({ score: "1" })), /its answer cannot be read/],
    ["nothing", (_, response) => void response.destroy(), /it cannot be reached/],
    ["never", () => {}, /within 200 ms/],
    ["too much", answer(`[${"1,".repeat(5 * 1024 * 1024)}1]`), /its answer is too long/],
  ])("answers %s: the text is not given out", async (name, listener, why) => {
    let asked = 0;
    const url = await serve((request, response) => {
      asked += 1;
      listener(request, response);
    });
    const timeoutMs = name === "never" ? 200 : 60_000;
    const detector = createPresidioDetector({ url, timeoutMs });
    await expect(detector.find("Ada L")).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
      message: expect.stringMatching(why),
    });
    const guard = await guarded(detector);
    await expect(guard.wrapTool(definition, () => "Ada L").call({})).rejects.toThrow(why);
    // Its own error is not sent to it.
    expect(asked).toBe(2);
    let isOver = false;
    const streamed = (await guard
      .wrapTool(definition, async function* () {
        try {
          yield "Ada L\n";
        } finally {
          isOver = true;
        }
      })
      .call({})) as AsyncIterator<unknown>;
    await expect(streamed.next()).rejects.toThrow(why);
    await expect.poll(() => isOver).toBe(true);
    await expect(guard.text("out").redact("Ada L")).rejects.toThrow(why);
  });

  test("sends it on elsewhere: nothing goes there", async () => {
    let elsewhere = 0;
    const url = await serve((request, response) => {
      if (request.url !== "/analyze") elsewhere += 1;
      response.writeHead(307, { location: "/else" }).end();
    });
    await expect(createPresidioDetector({ url }).find("Ada")).rejects.toMatchObject({
      code: "ERR_UNAVAILABLE",
    });
    expect(elsewhere).toBe(0);
  });

  test("with patterns as the answer to failure, they do, and it is heard of", async () => {
    const heard: string[] = [];
    const detector = createPresidioDetector({
      url: await serve(answer("{}", 503)),
      onFailure: "patterns",
      onSkipped: ({ code }) => void heard.push(code),
    });
    const guard = await guarded(detector, true);
    expect(await guard.text("out").redact("Ada, ada@example.org")).toBe("Ada, [REDACTED]");
    expect(heard).toEqual(["ERR_UNAVAILABLE"]);
  });

  test("an abort is the signal's reason, also with patterns as the answer", async () => {
    const detector = createPresidioDetector({ url: await serve(() => {}), onFailure: "patterns" });
    const stop = new AbortController();
    const found = detector.find("Ada", stop.signal);
    stop.abort(new Error("enough"));
    await expect(found).rejects.toThrow("enough");
  });

  test.each(["http://presidio.example:5002", "ftp://localhost", "https://a:b@c.example", "", "x"])(
    "an address that could be read by others is refused: %j",
    (url) => {
      expect(() => createPresidioDetector({ url })).toThrow(
        expect.objectContaining({ code: "ERR_CONFIG" }),
      );
    },
  );

  test("the path of the address is kept", async () => {
    const paths: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      paths.push(request.url);
      response.end("[]");
    });
    await createPresidioDetector({ url: `${url}/pii` }).find("Ada");
    await createPresidioDetector({ url: `${url}/pii/` }).find("Ada");
    expect(paths).toEqual(["/pii/analyze", "/pii/analyze"]);
  });
});
