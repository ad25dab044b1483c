import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import type { Pair } from "../../packages/crypto-rpc/test/support/companion.ts";
import { ANSWER_CHARACTERS, echoTls, REQUEST_CHARACTERS } from "./rpc-tls.ts";

export interface Echo {
  /** Resolves with the answer to one message. */
  readonly call: () => Promise<unknown>;
  stop(): Promise<void>;
}

/** A bare server, and a bare client of it: answers come in the order of the questions. */
export const startEcho = async (
  pair: Pair,
  signature?: "ecdsa-p256" | "ed25519",
): Promise<Echo> => {
  const main = fileURLToPath(new URL("rpc-echo.ts", import.meta.url));
  const args = ["--conditions=@lango/source", main, path.join(pair.folder, "companion")];
  if (signature !== undefined) args.push(signature);
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  const [port] = await once(child.stdout!, "data");
  const socket = new WebSocket(`wss://127.0.0.1:${Number(port)}`, {
    ...(echoTls(pair.identity) as object),
    perMessageDeflate: false,
  });
  await once(socket, "open");
  const waiting: (() => void)[] = [];
  socket.on("message", (data) => {
    if (String(data).length === ANSWER_CHARACTERS) waiting.shift()?.();
  });
  const text = "x".repeat(REQUEST_CHARACTERS);
  return {
    call: () =>
      new Promise<void>((resolve) => {
        waiting.push(resolve);
        socket.send(text);
      }),
    stop: async () => {
      socket.terminate();
      child.kill();
      await once(child, "exit");
    },
  };
};
