import { mkdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { HELLO_BYTES, nonceOf, request } from "../src/agent/protocol.ts";
import { type Agent, type AgentOptions, startAgent } from "../src/index.ts";
import { keyBytes, temporaryFolder } from "./support.ts";

export const SLOT_ID = "0123456789abcdef01234567";

/** A home with the folder that an agent listens in. */
export function homeForAgent(): string {
  const home = temporaryFolder();
  mkdirSync(join(home, "run"), { mode: 0o700 });
  return home;
}

/** An agent in this process, so that its memory can be looked at. */
export async function agentIn(
  home: string,
  more: Partial<AgentOptions> = {},
): Promise<Agent & { readonly vaultKey: Uint8Array }> {
  const vaultKey = new Uint8Array(keyBytes());
  const agent = await startAgent({
    ...{ home, vaultKey, slotId: SLOT_ID, idleMs: 60_000, limitMs: 60_000 },
    ...more,
  });
  onTestFinished(() => agent.stop());
  return { ...agent, vaultKey };
}

export const socketOf = (home: string): string => join(home, "run", "agent.sock");
export const tokenOf = (home: string): Uint8Array => readFileSync(join(home, "run", "agent.token"));

/** Connects, sends what `write` makes of the nonce, and returns all that came until the other side closed. */
export const talk = (
  home: string,
  write: (nonce: Uint8Array) => readonly Uint8Array[],
): Promise<Uint8Array> =>
  new Promise((resolve) => {
    const socket = connect(socketOf(home));
    let received = new Uint8Array();
    let isSaid = false;
    socket.on("data", (chunk: Uint8Array) => {
      received = Buffer.concat([received, chunk]);
      const nonce = nonceOf(received.subarray(0, HELLO_BYTES));
      if (nonce === undefined || isSaid) return;
      isSaid = true;
      for (const part of write(nonce)) socket.write(part);
      socket.end();
    });
    // A reset is an answer as well.
    socket.on("error", () => {});
    socket.on("close", () => resolve(received));
  });

export const validRequest =
  (home: string) =>
  (nonce: Uint8Array): Uint8Array[] => [request("key", nonce, tokenOf(home))];
