import { setImmediate } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { sendDataKey } from "@lango/envelope";
import { cutting, packKept, packSealed, type Reply, type Request } from "./rotation-message.ts";
import {
  type OpenWork,
  openVersions,
  type Resealed,
  type ResealWork,
  resealVersions,
} from "./rotation-work.ts";

/** Does the work of rotation-work.ts; errors as there. */
export interface RotationThread {
  reseal(work: ResealWork): Promise<readonly Resealed[]>;
  open(work: OpenWork): Promise<void>;
  /** Ends the thread. What it was given and has not done is done by the caller's. */
  close(): Promise<void>;
}

/** The work itself, in the thread of the caller; others get their turn after it. */
export const noThread: RotationThread = {
  async reseal(work) {
    const resealed = resealVersions(work);
    await setImmediate();
    return resealed;
  },
  async open(work) {
    openVersions(work);
    await setImmediate();
  },
  close: async () => undefined,
};

const IS_SOURCE = import.meta.url.endsWith(".ts");
const PROGRAM = `./rotation-worker.${IS_SOURCE ? "ts" : "js"}`;

/**
 * Another thread that checks, opens and seals while this one reads and writes: half the time of a rotation, and this one's event loop
 * is never held for long. It only ever saves time: what it cannot do, because it failed, died or could not be started, is
 * done here, with the errors of here.
 */
export const startRotationThread = async (
  program: URL = new URL(PROGRAM, import.meta.url),
): Promise<RotationThread> => {
  const waiting: ((reply: Reply) => void)[] = [];
  let worker: Worker | undefined = await startWorker(program);
  const ended = (): void => {
    void worker?.terminate();
    worker = undefined;
    for (const resolve of waiting.splice(0)) resolve(undefined);
  };
  // It replies in the order in which it was asked.
  worker?.on("message", (reply: Reply) => waiting.shift()?.(reply));
  worker?.on("error", ended);
  // One reply is lost, so that no other one would find who asked.
  worker?.on("messageerror", ended);
  worker?.on("exit", ended);

  const ask = (request: Request): Promise<Reply> =>
    new Promise((resolve) => {
      if (!worker) return resolve(undefined);
      try {
        worker.postMessage(request, [request.versions.bytes.buffer]);
      } catch {
        // What was not sent gets no reply: the next one would be taken for it.
        return resolve(undefined);
      }
      waiting.push(resolve);
    });

  return {
    async reseal(work) {
      const { vaultId, rowsKeys, versions } = work;
      const [from, to] = [sendDataKey(work.from), sendDataKey(work.to)];
      const packed = packKept(versions);
      const reply = await ask({ kind: "reseal", vaultId, rowsKeys, from, to, versions: packed });
      // A value that is sealed again is as long as it was.
      const bytes = versions.reduce((sum, { sealed }) => sum + sealed.length, 0);
      if (
        typeof reply !== "object" ||
        reply.sealed.length !== bytes ||
        reply.hashes.length !== versions.length
      ) {
        return noThread.reseal(work);
      }
      const next = cutting(reply.sealed);
      return versions.map(({ sealed }, i) => ({
        sealed: next(sealed.length),
        hash: reply.hashes[i]!,
      }));
    },
    async open(work) {
      const { vaultId, versions } = work;
      const dataKeys = new Map([...work.dataKeys].map(([id, key]) => [id, sendDataKey(key)]));
      const reply = await ask({ kind: "open", vaultId, dataKeys, versions: packSealed(versions) });
      if (reply !== "opened") await noThread.open(work);
    },
    async close() {
      await worker?.terminate();
    },
  };
};

/** `undefined` where there may be none, e.g. under `--permission`. */
const startWorker = async (program: URL): Promise<Worker | undefined> => {
  const { Worker } = await import("node:worker_threads");
  try {
    return new Worker(program, {
      name: "lango-rotation",
      // Not the environment, in which there may be secrets, nor options that were meant for another program.
      env: {},
      execArgv: IS_SOURCE ? ["--conditions=@lango/source"] : [],
      // Its garbage lives for a batch.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
  } catch {
    return undefined;
  }
};
