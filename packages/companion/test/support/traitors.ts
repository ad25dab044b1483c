import { toBase64 } from "@lango/crypto-core";
import type { Identity } from "../../src/pairing/identity.ts";
import { BROKE, ID } from "./attack.ts";
import { joinAs, signRequest } from "./attacker.ts";

/** What stands under attack: an agent that listens, with two paired companions, both in the hands of the attacker. */
export interface AgentTarget {
  readonly port: number;
  readonly companion: Identity;
  readonly other: Identity;
  /** The agent asks that companion to sign; what it got, in one line. */
  readonly ask: (companion: Identity, timeoutMs?: number) => Promise<string>;
}

export interface AgentAttack {
  readonly attempt: string;
  readonly sees: string;
  /** What the request ended with. */
  readonly ends: string;
  readonly run: (target: AgentTarget) => Promise<{ readonly sees: string; readonly ends: string }>;
}

const LOST = "ERR_UNAVAILABLE";
const GOOD = {
  keyId: "key",
  keyVersion: "1",
  signature: toBase64(new Uint8Array(64)),
  algorithm: "ecdsa-p256-sha256",
};

/** A companion that answers the one request it gets with some frames. */
const answering =
  (frames: (id: string) => readonly object[]) =>
  async ({ port, companion, ask }: AgentTarget) => {
    const channel = await joinAs(port, companion, "companion");
    const ends = ask(companion);
    const { id } = await channel.next();
    for (const frame of frames(String(id))) channel.send(frame);
    return { sees: await channel.closed, ends: await ends };
  };

/** A companion that turned bad, against its agent. */
export const TRAITORS: readonly AgentAttack[] = [
  {
    attempt: "an answer to the request of another channel",
    sees: `${BROKE}an answer to no request of this channel`,
    ends: "signed",
    run: async ({ port, companion, other, ask }) => {
      const honest = await joinAs(port, companion, "companion");
      const traitor = await joinAs(port, other, "companion");
      const ends = ask(companion);
      const { id } = await honest.next();
      traitor.send({ id, result: { ...GOOD, keyId: "forged" } });
      const sees = await traitor.closed;
      honest.send({ id, result: GOOD });
      const outcome = await ends;
      honest.ws.terminate();
      return { sees, ends: outcome };
    },
  },
  {
    attempt: "a second answer",
    sees: `${BROKE}an answer to no request of this channel`,
    ends: "signed",
    run: answering((id) => [
      { id, result: GOOD },
      { id, result: { ...GOOD, keyId: "forged" } },
    ]),
  },
  {
    attempt: "an answer after the deadline",
    sees: "nothing: it is dropped",
    ends: "ERR_TIMEOUT",
    run: async ({ port, companion, ask }) => {
      const channel = await joinAs(port, companion, "companion");
      const ends = await ask(companion, 50);
      const { id } = await channel.next();
      channel.send({ id, result: GOOD });
      // The channel goes on: the next request is answered on it.
      const second = ask(companion);
      for (let frame = await channel.next(); ; frame = await channel.next()) {
        if (frame["method"] !== "sign") continue;
        channel.send({ id: frame["id"], result: GOOD });
        break;
      }
      const sees = (await second) === "signed" ? "nothing: it is dropped" : "another end";
      channel.ws.terminate();
      return { sees, ends };
    },
  },
  {
    attempt: "a second answer after the deadline",
    sees: `${BROKE}an answer to no request of this channel`,
    ends: "ERR_TIMEOUT",
    run: async ({ port, companion, ask }) => {
      const channel = await joinAs(port, companion, "companion");
      const ends = await ask(companion, 50);
      const { id } = await channel.next();
      channel.send({ id, result: GOOD });
      channel.send({ id, result: GOOD });
      return { sees: await channel.closed, ends };
    },
  },
  {
    attempt: "a result of another method",
    sees: `${BROKE}its answer is no result of sign`,
    ends: LOST,
    run: answering((id) => [{ id, result: { plaintext: "" } }]),
  },
  {
    attempt: "an error with a code that is not of the list",
    sees: `${BROKE}an answer to no request of this channel`,
    ends: "ERR_INTERNAL",
    run: answering((id) => [
      {
        id,
        error: { code: -32_000, message: "x", data: { code: "constructor", retryable: false } },
      },
      { id, result: GOOD },
    ]),
  },
  {
    attempt: "a heartbeat of no request",
    sees: `${BROKE}a heartbeat of no request of this channel`,
    ends: LOST,
    run: answering(() => [{ method: "waiting", params: { id: ID } }]),
  },
  {
    attempt: "a request to the agent",
    sees: `${BROKE}a request to the agent`,
    ends: LOST,
    run: answering(() => [signRequest()]),
  },
  {
    attempt: "a replayed answer",
    sees: `${BROKE}frame 2 was due: frames were repeated, reordered or left out`,
    ends: "signed",
    run: async ({ port, companion, ask }) => {
      const channel = await joinAs(port, companion, "companion");
      const ends = ask(companion);
      const { id } = await channel.next();
      const frame = JSON.stringify({ jsonrpc: "2.0", seq: 1, id, result: GOOD });
      channel.send(frame);
      channel.send(frame);
      return { sees: await channel.closed, ends: await ends };
    },
  },
];
