import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { CallName, Calls, Failure } from "./protocol.ts";
import { createFrameReader, encodeMessage } from "./wire.ts";

/** What the child answered. The byte strings belong to the receiver. */
export interface Answer<Name extends CallName> {
  readonly answer: Calls[Name]["answer"];
  readonly bytes: readonly Uint8Array<ArrayBuffer>[];
}

/** Why a call to the child failed: what the module said, or that the child ended or hung. */
export class ModuleFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.name);
    this.failure = failure;
  }
}

/** A child process with a PKCS#11 module in it. Calls are done one after the other, in their order. */
export interface ModuleProcess {
  /** Whether it takes no more calls. */
  readonly ended: boolean;
  /** @throws {@link ModuleFailure} */
  ask<Name extends CallName>(
    name: Name,
    ask: Calls[Name]["ask"],
    bytes: readonly Uint8Array[],
    timeoutMs: number,
  ): Promise<Answer<Name>>;
  /** Takes no more calls, answers those that it has, and ends. Resolves when it is gone. */
  retire(): Promise<void>;
}

interface Waiting {
  readonly resolve: (answer: Answer<never>) => void;
  readonly reject: (failure: ModuleFailure) => void;
  readonly timeoutMs: number;
}

/** How long a child may take to leave in peace, with C_Finalize, before it is killed. */
const LEAVE_WITHIN_MS = 1000;

// The child beside this file, in the same form: built, or source.
const CHILD = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url));

/**
 * Starts a child.
 *
 * A process and not a thread: a C call that hangs can only be ended with its process, a module that aborts takes its process
 * with it, and modules read their settings from the environment.
 *
 * @param env - The whole environment of the child; see {@link childEnvironment}.
 */
export function startModuleProcess(env: NodeJS.ProcessEnv): ModuleProcess {
  const child = spawn(process.execPath, [CHILD], {
    // What a module prints would be in the way of whatever the app prints.
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    env,
    windowsHide: true,
  });
  const pipe = child.stdio[3] as Socket;
  const waiting = new Map<number, Waiting>();
  const reader = createFrameReader();
  let lastId = 0;
  let ended = false;
  let frames: Buffer<ArrayBuffer>[] = [];
  let headSince = 0;
  let watch: NodeJS.Timeout | undefined;
  let watchUntil = 0;

  const gone = new Promise<void>((resolve) => {
    const onGone = (how: string): void => {
      end(how);
      resolve();
    };
    child.once("error", () => onGone("could not be started"));
    child.once("exit", (code, signal) => {
      onGone(signal === null ? `ended with status ${code}` : `was ended by ${signal}`);
    });
  });
  // An idle child must not keep the app alive; the pipe does that while there are calls.
  child.unref();
  pipe.unref();

  const end = (how: string, head?: Failure): void => {
    ended = true;
    clearTimeout(watch);
    pipe.unref();
    const failure = { name: "PROCESS_ENDED", detail: `the process of the module ${how}` };
    for (const { reject } of waiting.values()) {
      // Only the call that it was busy with took too long; the others never had their turn.
      reject(new ModuleFailure(head ?? failure));
      head = undefined;
    }
    waiting.clear();
  };
  const kill = (how: string, head?: Failure): void => {
    end(how, head);
    child.kill("SIGKILL");
  };

  /** Its input ends, so it does; whoever waits for that must not find the event loop empty. */
  const leave = (): void => {
    child.ref();
    pipe.end();
    const late = setTimeout(() => child.kill("SIGKILL"), LEAVE_WITHIN_MS);
    void gone.then(() => clearTimeout(late));
  };

  /** Sees to it that the timer ends no later than the time of the call that has its turn now. */
  const watchHead = (): void => {
    const [head] = waiting.values();
    if (head === undefined) return;
    headSince = performance.now();
    if (watch !== undefined && watchUntil <= headSince + head.timeoutMs) return;
    clearTimeout(watch);
    watchFor(head.timeoutMs);
  };
  const watchFor = (ms: number): void => {
    watchUntil = performance.now() + ms;
    watch = setTimeout(onWatch, ms);
  };
  const onWatch = (): void => {
    const [head] = waiting.values();
    if (head === undefined) return;
    const left = headSince + head.timeoutMs - performance.now();
    if (left > 0) {
      watchFor(left);
      return;
    }
    const detail = `the module did not answer within ${head.timeoutMs} ms`;
    kill("was ended because it hung", { name: "PROCESS_HUNG", detail });
  };

  const flush = (): void => {
    const frame = frames.length === 1 ? frames[0]! : Buffer.concat(frames);
    for (const each of frames) if (each !== frame) each.fill(0);
    frames = [];
    pipe.write(frame, () => frame.fill(0));
  };

  pipe.on("data", (chunk: Buffer) => {
    for (const { id, value, bytes } of reader.read(chunk)) {
      const call = waiting.get(id);
      waiting.delete(id);
      const { answer, failure } = value as { answer: never; failure?: Failure };
      if (failure !== undefined) call?.reject(new ModuleFailure(failure));
      else call?.resolve({ answer, bytes: bytes as Uint8Array<ArrayBuffer>[] });
    }
    watchHead();
    if (waiting.size > 0) return;
    clearTimeout(watch);
    watch = undefined;
    pipe.unref();
    if (ended) leave();
  });
  // Its end is told by "close" of the child.
  pipe.on("error", () => {});

  return {
    get ended() {
      return ended;
    },
    ask(name, ask, bytes, timeoutMs) {
      if (ended) {
        const detail = "the process of the module has ended";
        return Promise.reject(new ModuleFailure({ name: "PROCESS_ENDED", detail }));
      }
      return new Promise((resolve, reject) => {
        const id = ++lastId;
        waiting.set(id, { resolve, reject, timeoutMs });
        if (waiting.size === 1) {
          watchHead();
          pipe.ref();
        }
        // Calls of one turn of the event loop travel together.
        if (frames.push(encodeMessage({ id, value: [name, ask], bytes })) === 1) {
          queueMicrotask(flush);
        }
      });
    },
    retire() {
      ended = true;
      if (waiting.size === 0) leave();
      return gone;
    },
  };
}

/**
 * The environment of the child: this process's own without what Lango keeps there (passphrases, the PIN) and without
 * options for Node, and what the module needs beside it.
 */
export function childEnvironment(extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(LANGO_|NODE_)/i.test(name));
  return { ...Object.fromEntries(own), ...extra };
}
