import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { toBase64, toBase64Url, toHex, utf8 } from "@lango/crypto-core";
import { createScanner } from "@lango/guard";
import type { Vault } from "@lango/vault";
import { Client, type ClientOptions } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { API_KEY, makeVault, PASSPHRASE } from "./rig.ts";

const SERVE = fileURLToPath(new URL("fixtures/serve.ts", import.meta.url));
const INSPECTOR = fileURLToPath(
  new URL(
    "../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
    import.meta.url,
  ),
);
const LISTED = { destinations: ["api.example.com"], commands: [], requiresHandle: false };

interface Served {
  readonly command: string;
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly stderr: "pipe";
  readonly vault: Vault;
  /** Everything that went over standard input and output of the server. */
  traffic(): string;
}

/** A vault with a secret that may go to api.example.com, and how to start a server on it. */
const served = async (
  env: Readonly<Record<string, string>> = {},
  scope: (end: () => void | Promise<void>) => void = onTestFinished,
): Promise<Served> => {
  const vault = await makeVault({}, scope);
  await vault.secrets.set("api/key", utf8(API_KEY));
  const approver = await vault.approvals.approver(utf8(PASSPHRASE));
  await vault.approvals.destinations.set("api/key", LISTED, { approver });
  const folder = mkdtempSync(join(tmpdir(), "lango-mcp-"));
  scope(() => rmSync(folder, { recursive: true, force: true }));
  const log = join(folder, "traffic");
  return {
    command: process.execPath,
    args: ["--conditions=@lango/source", SERVE],
    env: {
      PATH: process.env["PATH"] ?? "",
      NODE_COMPILE_CACHE: join(tmpdir(), `lango-test-cache-${process.getuid?.()}`),
      HOME_OF_TEST: vault.home,
      PASSPHRASE_OF_TEST: PASSPHRASE,
      LOG_OF_TEST: log,
      EXPECTED_OF_TEST: `Bearer ${API_KEY}`,
      ...env,
    },
    stderr: "pipe",
    vault,
    traffic: () => readFileSync(log, "utf8"),
  };
};

/** A form that a client was asked to show, and what it answers. */
interface Shown {
  readonly message: string;
}
type AnswerForm = (shown: Shown) => {
  action: "accept" | "decline" | "cancel";
  content?: Record<string, string | number | boolean | string[]>;
};

interface TestClient {
  readonly forms: Shown[];
  list(): Promise<{ name: string; annotations?: object | undefined; inputSchema: object }[]>;
  call(name: string, args?: Record<string, unknown>, signal?: AbortSignal): Promise<Result>;
  close(): Promise<void>;
}
interface Result {
  readonly isError?: boolean | undefined;
  readonly text: string;
  readonly structured: Record<string, unknown> | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: the results of two versions of the protocol's package
const toResult = (result: any): Result => ({
  isError: result.isError,
  text: result.content.map((each: { text?: string }) => each.text ?? "").join(""),
  structured: result.structuredContent,
});

const capabilitiesOf = (answer: AnswerForm | undefined) =>
  answer === undefined ? {} : { elicitation: { form: {} } };

const newClient = async (
  server: Served,
  answer?: AnswerForm,
  mode: NonNullable<ClientOptions["versionNegotiation"]>["mode"] = { pin: "2026-07-28" },
): Promise<TestClient> => {
  const forms: Shown[] = [];
  const client = new Client(
    { name: "client-2", version: "1" },
    { capabilities: capabilitiesOf(answer), versionNegotiation: { mode: mode! } },
  );
  if (answer !== undefined) {
    client.setRequestHandler("elicitation/create", async ({ params }) => {
      forms.push({ message: params.message });
      return answer({ message: params.message });
    });
  }
  await client.connect(new StdioClientTransport(server));
  return {
    forms,
    list: async () => (await client.listTools()).tools,
    call: async (name, args = {}, signal) =>
      toResult(await client.callTool({ name, arguments: args as never }, signal ? { signal } : {})),
    close: () => client.close(),
  };
};

const oldClient = async (server: Served, answer?: AnswerForm): Promise<TestClient> => {
  const forms: Shown[] = [];
  const client = new OldClient(
    { name: "client-1", version: "1" },
    // As clients of 2025-06-18 declare it.
    { capabilities: answer === undefined ? {} : { elicitation: {} } },
  );
  if (answer !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
      forms.push({ message: params.message });
      return answer({ message: params.message });
    });
  }
  await client.connect(new OldTransport(server));
  return {
    forms,
    list: async () => (await client.listTools()).tools,
    call: async (name, args = {}, signal) =>
      toResult(
        await client.callTool({ name, arguments: args }, undefined, signal ? { signal } : {}),
      ),
    close: () => client.close(),
  };
};

/** As much of a message as is looked at. */
interface Message {
  readonly result?: { readonly requestState?: string; readonly protocolVersion?: string };
}

const CLIENTS = { new: newClient, old: oldClient } as const;
const APPROVE: AnswerForm = () => ({ action: "accept", content: { approve: true } });

/** Fails when any form of the value went over the wire, found without the scanner under test in the server's process. */
const expectNothingOf = async (value: string, traffic: string): Promise<void> => {
  const bytes = utf8(value);
  for (const form of [
    value,
    toBase64(bytes).slice(2, -4),
    toBase64(utf8(`x${value}`)).slice(4, -4),
    toBase64(utf8(`xy${value}`)).slice(4, -4),
    toBase64Url(bytes).slice(0, -2),
    toHex(bytes),
    toHex(bytes).toUpperCase(),
    encodeURIComponent(value),
    [...value].reverse().join(""),
    [...value].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
    [...bytes].join(","),
  ]) {
    expect(traffic).not.toContain(form);
  }
  const scanner = await createScanner({ secrets: [{ name: "value", value: bytes }] });
  expect(scanner.scan(utf8(traffic)).findings).toEqual([]);
};

describe.each(["new", "old"] as const)("with a client of the %s protocol", (which) => {
  const ends: (() => void | Promise<void>)[] = [];
  const scope = (end: () => void | Promise<void>): void => {
    ends.unshift(end);
  };
  afterAll(async () => {
    for (const end of ends) await end();
  });
  // What the person behind the client does. One server for all tests: to start one takes a second.
  let answer: AnswerForm = APPROVE;
  let server: Served;
  let client: TestClient;
  beforeAll(async () => {
    server = await served({}, scope);
    client = await CLIENTS[which](server, (shown) => answer(shown));
    scope(() => client.close());
  });
  beforeEach(() => {
    answer = APPROVE;
    client.forms.length = 0;
  });
  const withoutForms = async (): Promise<TestClient> => {
    const other = await CLIENTS[which](await served());
    onTestFinished(() => other.close());
    return other;
  };

  test("uses a secret without its value crossing, however the service repeats it", async () => {
    expect(server.traffic()).toContain(which === "new" ? "2026-07-28" : "2025-11-25");
    const got = await client.call("secrets_get", { name: "api/key" });
    expect(got.structured).toMatchObject({ reference: "{{secret:api/key}}" });
    const reference = got.structured?.["reference"];
    const status = await client.call("fetch_status", { authorization: `Bearer ${reference}` });
    expect(status).toMatchObject({ isError: undefined });
    expect(status.text).toMatch(
      /^hello, your Bearer \[SECRET:api\/key\] in base64 is .{1,10}\[SECRET:api\/key\]$/,
    );
    const failed = await client.call("fail", { authorization: `Bearer ${reference}` });
    expect(failed).toMatchObject({
      isError: true,
      text: "Error: 401 for Bearer [SECRET:api/key]",
    });
    expect((await client.call("seen")).structured).toEqual({ right: 1 });
    expect(client.forms).toHaveLength(2);
    expect(client.forms[0]?.message).toMatch(
      /^The agent asks for your approval\.\n(.*\n)*Secret: api\/key\n(.*\n)*Open until: \S+Z$/,
    );
    await expectNothingOf(API_KEY, server.traffic());
    const events = await server.vault.audit.tail(100);
    const approved = events.filter(({ action }) => action === "approval.approve");
    expect(approved.length).toBe(2);
    expect(JSON.stringify(approved)).toContain(`client client-${which === "new" ? 2 : 1}`);
  });

  test("offers every tool under its name with underscores, with annotations", async () => {
    const tools = await client.list();
    expect(tools.map(({ name }) => name)).toEqual([
      ...["secrets_store", "secrets_get", "secrets_list", "secrets_delete", "secrets_request"],
      ...["crypto_encrypt", "crypto_decrypt", "crypto_sign", "crypto_verify", "crypto_hash"],
      ...["crypto_keys", "fetch_status", "fail", "seen", "hang"],
    ]);
    expect(tools[1]).toMatchObject({
      annotations: { readOnlyHint: true, openWorldHint: false },
      inputSchema: { type: "object", required: ["name"] },
    });
    expect((await client.call("crypto.hash", { data: "" })).structured).toMatchObject({
      algorithm: "sha256",
    });
  });

  test("what is dangerous is denied at once, though the client would say yes", async () => {
    for (const [name, args] of [
      ["secrets_delete", { name: "api/key" }],
      ["secrets_store", { name: "api/key", value: "another-value" }],
      ["crypto_sign", { data: "x" }],
      ["secrets_get", { name: "api/key", tool: "x", destination: "evil.example" }],
    ] as const) {
      const result = await client.call(name, args);
      expect(result.isError, name).toBe(true);
      expect(result.text).toMatch(/^ERR_(DENIED|NOT_FOUND): /);
    }
    expect(client.forms).toEqual([]);
  });

  test.each([
    ["declines", () => ({ action: "decline" })],
    ["cancels", () => ({ action: "cancel" })],
    ["accepts an empty form", () => ({ action: "accept", content: {} })],
    ["says no in the form", () => ({ action: "accept", content: { approve: false } })],
    ["answers with a text", () => ({ action: "accept", content: { approve: "true" } })],
  ] as [string, AnswerForm][])("a client that %s gets nothing", async (_, given) => {
    answer = given;
    const result = await client.call("secrets_get", { name: "api/key" });
    expect(result).toMatchObject({ isError: true });
    expect(result.text).toMatch(/^ERR_DENIED: /);
    expect(client.forms.length).toBe(1);
  });

  test("a client without forms is denied at once, and so is a request for a secret", async () => {
    const mute = await withoutForms();
    const result = await mute.call("secrets_get", { name: "api/key" });
    expect(result.structured).toMatchObject({ error: { code: "ERR_DENIED", retryable: false } });
    const request = await mute.call("secrets_request", { name: "db/password" });
    expect(request.text).toContain("lango security secrets set NAME");
  });

  test("a yes for ten minutes holds for the same call only", async () => {
    answer = () => ({ action: "accept", content: { approve: true, scope: "10 minutes" } });
    const args = { authorization: "for ten minutes" };
    for (let i = 0; i < 3; i++) await client.call("fetch_status", args);
    expect(client.forms.length).toBe(1);
    await client.call("fetch_status", { authorization: "none" });
    expect(client.forms.length).toBe(2);
  });

  test("secrets_request: the form asks no secret; the person enters it elsewhere", async () => {
    const value = "typed-in-a-terminal-9";
    let enters = true;
    answer = ({ message }) => {
      expect(message).toContain("Do not type it here");
      return { action: "accept", content: { entered: enters } };
    };
    await server.vault.secrets.set("db/password", utf8("an-older-value"));
    const asking = client.call("secrets_request", {
      name: "db/password",
      reason: "for\u001b[31m the \u202edump",
    });
    // Before the answer comes back the person is at the terminal.
    await server.vault.secrets.set("db/password", utf8(value));
    const result = await asking;
    if (result.isError !== true) {
      expect(result.structured).toMatchObject({ reference: "{{secret:db/password}}" });
    }
    expect(client.forms[0]?.message).toContain("for·[31m the ·dump");
    enters = false;
    expect((await client.call("secrets_request", { name: "db/password" })).isError).toBe(true);
    await expectNothingOf(value, server.traffic());
    expect(server.traffic()).not.toContain('"format":"password"');
  });

  test("arguments that do not fit are an error for the model, which repeats nothing", async () => {
    const canary = "canary-3f9a7c21";
    for (const [name, args] of [
      ["secrets_get", { name: `${canary} with spaces` }],
      ["secrets_get", { name: 17, [canary]: canary }],
      ["secrets_store", { name: "x", value: canary, encoding: canary }],
      ["crypto_encrypt", { data: "x", keyId: canary }],
      ["crypto_decrypt", { data: canary }],
      ["crypto_hash", { data: "x", algorithm: canary }],
    ] as const) {
      const result = await client.call(name, args);
      expect(result.isError).toBe(true);
      expect(result.text).toMatch(/^ERR_[A-Z_]+: /);
      expect(JSON.stringify(result)).not.toContain(canary);
    }
    const unknown = await client.call(canary).catch((error: unknown) => error);
    expect(String(unknown)).not.toContain(canary);
    expect(String(unknown)).toContain("no such tool");
  });

  test("a cancelled call is cancelled in the tool, and the server goes on", async () => {
    const controller = new AbortController();
    const hanging = client.call("hang", {}, controller.signal).catch((error: unknown) => error);
    setTimeout(() => controller.abort(), 200);
    await hanging;
    expect((await client.call("crypto_hash", { data: "x" })).isError).toBeFalsy();
    await expect.poll(() => server.traffic()).toContain("aborted");
  });

  test("many calls at once, each with its own question", async () => {
    answer = ({ message }) => ({
      action: "accept",
      content: { approve: message.includes("none-1") },
    });
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        client.call("fetch_status", { authorization: `none-${i}` }),
      ),
    );
    results.forEach((result, i) => {
      const isYes = `none-${i}`.includes("none-1");
      expect(result.isError === true, `call ${i}`).toBe(!isYes);
    });
    expect(client.forms.length).toBe(20);
  });

  test("an approval that nobody gives in time is over", async () => {
    const hurried = await CLIENTS[which](await served({ TIMEOUT_OF_TEST: "300" }), () => {
      // The person thinks it over, longer than there is time.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
      return { action: "accept", content: { approve: true } };
    });
    onTestFinished(() => hurried.close());
    const result = await hurried.call("secrets_get", { name: "api/key" });
    expect(result.text).toMatch(/^ERR_APPROVAL_TIMEOUT: /);
  });
});

describe("a client that speaks by hand", () => {
  /** Speaks to the server by hand. */
  const raw = async (server: Served, isNew = true) => {
    const child = spawn(server.command, server.args, {
      env: server.env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    onTestFinished(() => {
      child.kill();
    });
    const waiting = new Map<number, (message: Message) => void>();
    let rest = "";
    child.stdout.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const message = JSON.parse(line);
        waiting.get(message.id)?.(message);
      }
    });
    let id = 0;
    return (method: string, params: object): Promise<Message> => {
      id += 1;
      const _meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "raw\u001b[2J<b>", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } },
      };
      child.stdin.write(
        `${JSON.stringify({ jsonrpc: "2.0", id, method, params: isNew ? { ...params, _meta } : params })}\n`,
      );
      return new Promise((resolve) => waiting.set(id, resolve));
    };
  };
  const YES = { question: { action: "accept", content: { approve: true } } };
  const call = { name: "secrets_get", arguments: { name: "api/key" } };

  test("cannot answer a question that was not asked, twice, or for another call", async () => {
    const request = await raw(await served());
    const denied = { structuredContent: { error: { code: "ERR_DENIED" } } };
    const unasked = await request("tools/call", {
      ...call,
      inputResponses: YES,
      requestState: "x",
    });
    expect(unasked).toMatchObject({ result: denied });
    // Answers without a question are not looked at.
    const first = await request("tools/call", { ...call, inputResponses: YES });
    expect(first).toMatchObject({ result: { resultType: "input_required" } });
    const requestState = first.result?.requestState;
    const other = { name: "secrets_get", arguments: { name: "other" } };
    const swapped = await request("tools/call", { ...other, inputResponses: YES, requestState });
    expect(swapped).toMatchObject({ result: denied });
    const late = await request("tools/call", { ...call, inputResponses: YES, requestState });
    expect(late).toMatchObject({ result: denied });

    const again = await request("tools/call", call);
    const state = again.result?.requestState;
    const right = { ...call, inputResponses: YES, requestState: state };
    expect(await request("tools/call", right)).toMatchObject({
      result: { structuredContent: { reference: "{{secret:api/key}}" } },
    });
    expect(await request("tools/call", right)).toMatchObject({ result: denied });
  });

  test.each(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])(
    "may open with protocol %s",
    async (protocolVersion) => {
      const request = await raw(await served(), false);
      const clientInfo = { name: "old", version: "0" };
      const opened = await request("initialize", { protocolVersion, capabilities: {}, clientInfo });
      expect(opened.result).toMatchObject({
        protocolVersion,
        serverInfo: { name: "lango", version: "1.2.3" },
        instructions: "Use references.",
      });
      expect(await request("tools/call", { name: "crypto_keys" })).toMatchObject({
        result: { structuredContent: { count: 1 } },
      });
    },
  );
});

describe("the process", () => {
  test("a client that negotiates gets the new protocol", async () => {
    const server = await served();
    const client = await newClient(server, undefined, "auto");
    onTestFinished(() => client.close());
    await client.list();
    expect(server.traffic()).not.toContain('"initialize"');
  });

  test("ends when its input ends, with calls under way and lines that are no protocol", async () => {
    const server = await served();
    const child = spawn(server.command, server.args, { env: server.env, stdio: "pipe" });
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    child.stdin.write('not json\n{"jsonrpc":"2.0"}\n[1]\n{"a":1}\n');
    child.stdin.write(
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hang","arguments":{}}}\n',
    );
    setTimeout(() => child.stdin.end(), 1500);
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code).toBe(0);
    for (const line of out.split("\n").filter(Boolean)) {
      expect(JSON.parse(line)).toMatchObject({ jsonrpc: "2.0" });
    }
  });

  test("the inspector's command line lists and calls the tools", async () => {
    const { command, args, env } = await served();
    const inspect = async (...more: string[]) => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [
          ...[INSPECTOR, "--cli"],
          ...Object.entries(env)
            .filter(([name]) => name.endsWith("_OF_TEST"))
            .flatMap(([name, value]) => ["-e", `${name}=${value}`]),
          ...[command, ...args, ...more],
        ],
        { env: { ...process.env, MCP_AUTO_OPEN_ENABLED: "false" } },
      );
      return JSON.parse(stdout) as { tools?: unknown[]; structuredContent?: unknown };
    };
    const { tools } = await inspect("--method", "tools/list");
    expect(tools?.length).toBe(15);
    const called = await inspect(
      ...["--method", "tools/call", "--tool-name", "crypto_hash", "--tool-arg", "data=abc"],
    );
    expect(called.structuredContent).toEqual({
      hash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      algorithm: "sha256",
    });
  });
});
