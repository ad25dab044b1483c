import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { onTestFinished } from "vitest";
import { environment, LANGO } from "./support.ts";

export interface Message {
  readonly id?: number;
  readonly method?: string;
  // biome-ignore lint/suspicious/noExplicitAny: each method has its own
  readonly result?: any;
}

/** A client that speaks by hand, and keeps every byte of the server. */
export class McpClient {
  stdout = "";
  stderr = "";
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #id = 0;

  constructor(home: string, args: readonly string[] = [], env: Record<string, undefined> = {}) {
    this.child = spawn(process.execPath, [...LANGO, "mcp", "serve", ...args], {
      env: environment(home, env),
    });
    this.child.stderr.on("data", (chunk) => {
      this.stderr += chunk;
    });
    let rest = "";
    this.child.stdout.on("data", (chunk) => {
      this.stdout += chunk;
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const message = JSON.parse(line) as Message;
        if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
      }
    });
    this.ended = new Promise((resolve) =>
      this.child.on("close", (code, signal) => resolve({ code, signal })),
    );
    onTestFinished(() => {
      this.child.kill("SIGKILL");
    });
  }

  request(method: string, params: object): Promise<Message> {
    this.#id += 1;
    const id = this.#id;
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  async open(): Promise<Message> {
    const opened = await this.request("initialize", {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "by-hand", version: "1" },
    });
    this.child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
    return opened;
  }

  async call(name: string, args: object = {}): Promise<Message["result"]> {
    return (await this.request("tools/call", { name, arguments: args })).result;
  }
}
