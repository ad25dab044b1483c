import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A client in Python that a test speaks through; gone when the test's process is. */
export interface PythonClient {
  /**
   * Calls a function of the script. Bytes go both ways as `Uint8Array`, also deep inside.
   *
   * @throws An error whose `name` is that of the exception in Python.
   */
  // biome-ignore lint/suspicious/noExplicitAny: the shapes are those of somebody else's client.
  call(name: string, args: object): Promise<any>;
  stop(): Promise<void>;
}

/** Starts a script of the folder `python`; see serve.py there. */
export function startClient(python: string, script: string, args: readonly string[]): PythonClient {
  const path = fileURLToPath(new URL(`python/${script}`, import.meta.url));
  // No bytecode in the source tree, and no proxy before a server on this machine.
  const child = spawn(python, ["-B", path, ...args], {
    env: { ...process.env, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  // A script that broke down is told of by the call that gets no answer.
  child.stdin.on("error", () => {});
  const ended = once(child, "close");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  let turn: Promise<unknown> = Promise.resolve();

  const ask = async (name: string, given: object): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify({ call: name, with: given }, encode)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`${script} ended:\n${errors}`);
    const answer = JSON.parse(value, decode);
    if (answer.error === undefined) return answer.result;
    throw Object.assign(new Error(answer.message), { name: answer.error });
  };

  return {
    call(name, given) {
      const answer = turn.then(() => ask(name, given));
      turn = answer.catch(() => {});
      return answer;
    },
    async stop() {
      child.kill();
      await ended;
    },
  };
}

function encode(_: string, value: unknown): unknown {
  // A Buffer has become JSON of its own kind by now.
  const { type, data } = (value ?? {}) as { type?: unknown; data?: number[] };
  const bytes = type === "Buffer" && data !== undefined ? Uint8Array.from(data) : value;
  return bytes instanceof Uint8Array ? { base64: Buffer.from(bytes).toString("base64") } : value;
}

function decode(_: string, value: unknown): unknown {
  const { base64 } = (value ?? {}) as { base64?: string };
  return base64 === undefined ? value : new Uint8Array(Buffer.from(base64, "base64"));
}
