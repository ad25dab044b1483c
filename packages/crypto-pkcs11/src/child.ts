// The program of the child process: the only place where pkcs11js and the module of the vendor are loaded.
import { readSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { failureOf } from "./child-failure.ts";
import { createToken, type Token } from "./child-token.ts";
import type { CallName } from "./protocol.ts";
import { createFrameReader, encodeMessage, type Message } from "./wire.ts";

/** The pipe to the parent; see module-process.ts. */
const PIPE = 3;
/** Answers are sent together, but nobody waits long for one that is there. */
const MAX_ANSWERS = 16;
const MAX_HOLD_MS = 2;

// The child lives exactly as long as its pipe: a Ctrl-C is for the parent, which may still have keys to put away.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

// Nor in a call that hangs is the end of the pipe seen: a thread of its own sees that the parent is gone.
// Told by this one, which looks before its first call: when the thread runs at last, the parent may be gone already.
const WATCH_PARENT = `
  const { workerData: parent } = require("node:worker_threads");
  setInterval(() => process.ppid === parent || process.kill(process.pid, "SIGKILL"), 2000);`;
new Worker(WATCH_PARENT, { eval: true, workerData: process.ppid }).unref();

serve();

/** Reads and writes block: the module's calls block too, and there is nothing else to do here. */
function serve(): void {
  let token: Token | undefined;
  const reader = createFrameReader();
  const chunk = Buffer.alloc(64 * 1024);
  for (;;) {
    const length = readSync(PIPE, chunk);
    // The parent is gone, or has no use for this child any more.
    if (length === 0) {
      token?.end();
      return;
    }
    let answers: Buffer[] = [];
    let since = performance.now();
    const flush = (): void => {
      // One write for all: each wakes the parent.
      if (answers.length > 0) writeAll(answers.length === 1 ? answers[0]! : Buffer.concat(answers));
      for (const answer of answers) answer.fill(0);
      answers = [];
      since = performance.now();
    };
    for (const message of reader.read(chunk.subarray(0, length))) {
      answers.push(answerTo(message));
      if (answers.length >= MAX_ANSWERS || performance.now() - since >= MAX_HOLD_MS) flush();
    }
    flush();
  }

  function answerTo({ id, value, bytes }: Message): Buffer {
    const [name, ask] = value as [CallName, never];
    try {
      // Here, so that a missing native package is an answer like any other.
      token ??= createToken();
      const { answer, bytes: results = [] } = token[name](ask, bytes.map(asBuffer));
      const frame = encodeMessage({ id, value: { answer }, bytes: results });
      for (const part of results) part.fill(0);
      return frame;
    } catch (error) {
      return encodeMessage({ id, value: { failure: failureOf(error) }, bytes: [] });
    } finally {
      for (const part of bytes) part.fill(0);
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  // An empty array of its own has no address, and SoftHSM refuses NULL for no data.
  if (bytes.length === 0) return Buffer.alloc(1).subarray(0, 0);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeAll(frame: Buffer): void {
  for (let position = 0; position < frame.length; ) {
    position += writeSync(PIPE, frame, position);
  }
  frame.fill(0);
}
