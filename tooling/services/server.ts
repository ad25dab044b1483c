import { type ChildProcess, spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A test server that runs: a child of the test, gone when the test's process is. */
export interface Server {
  /** Where it listens, e.g. `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly port: number;
  /** Everything it has written, for the message of a failure and for checks of what a service saw. */
  output(): string;
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** The program, from `requireService`. */
  readonly program: string;
  /** Its arguments; it must listen on 127.0.0.1 alone, on the port given. */
  readonly args: (port: number) => readonly string[];
  /** Default: one that nobody listens on. */
  readonly port?: number;
  readonly env?: (port: number) => NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly protocol?: "http" | "https" | "grpc";
  /** Asked again and again until it resolves with true. Default: the port takes connections. */
  readonly isReady?: (url: string) => Promise<boolean>;
  /** Milliseconds until it has to be ready. Default: 60,000. */
  readonly readyWithinMs?: number;
}

const running = new Set<ChildProcess>();
// A test that breaks down must not leave servers behind.
process.on("exit", () => {
  for (const child of running) kill(child);
});

/** Starts a server on a free port of the loopback address and waits until it answers. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { program, args, env, cwd, protocol = "http", readyWithinMs = 60_000 } = options;
  const { port = await freePort() } = options;
  const url = `${protocol}://127.0.0.1:${port}`;
  const child = spawn(program, args(port), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env?.(port) },
    cwd,
    // A group of its own: emulators start workers, which have to end with them.
    detached: true,
  });
  running.add(child);
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk).slice(-1_000_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  }).then(() => running.delete(child));

  const stop = async (): Promise<void> => {
    if (!running.has(child)) return;
    kill(child);
    await ended;
  };
  const isReady = options.isReady ?? (() => takesConnections(port));
  const deadline = performance.now() + readyWithinMs;
  for (;;) {
    if (!running.has(child)) throw new Error(`${program} ended at once:\n${output}`);
    if (await isReady(url).catch(() => false)) break;
    if (performance.now() > deadline) {
      await stop();
      throw new Error(`${program} was not ready within ${readyWithinMs} ms:\n${output}`);
    }
    await sleep(50);
  }
  return { url, port, output: () => output, stop };
}

function kill(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

/** A port of the loopback address that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        resolve(typeof address === "object" && address !== null ? address.port : 0),
      );
    });
  });
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
