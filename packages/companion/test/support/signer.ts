import { createHash, randomBytes } from "node:crypto";
import {
  createSigner,
  type IncomingRequest,
  type MethodName,
  memoryResults,
  type Params,
  type Peer,
  type Question,
  type RequestHandler,
  type Result,
  type SignerEvent,
  type SignerOptions,
} from "@lango/companion";
import { type CryptoProvider, concat, utf8 } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";

export const newId = (): string => randomBytes(16).toString("base64url");

export const newPeer = (name = "laptop"): Peer => ({
  id: newId(),
  name,
  role: "agent",
  fingerprint: randomBytes(32).toString("base64url"),
  state: "active",
  pairedAt: 0,
});

export const makeKeys = async (): Promise<CryptoProvider> => {
  const keys = createLocalProvider();
  await keys.createKey({ keyId: "seal", algorithm: "aes-256-gcm", usage: "encryption" });
  await keys.createKey({ keyId: "sign", algorithm: "ecdsa-p256", usage: "signing" });
  await keys.createKey({ keyId: "tag", algorithm: "hmac-sha256", usage: "mac" });
  await keys.createKey({ keyId: "coins", algorithm: "secp256k1", usage: "signing" });
  return keys;
};

export interface Asked<M extends MethodName> {
  readonly method: M;
  readonly params: Params<M>;
  readonly id?: string;
  readonly peer?: Peer;
  readonly signal?: AbortSignal;
  readonly binding?: Uint8Array<ArrayBuffer>;
}

export interface Rig {
  readonly handler: RequestHandler;
  readonly peer: Peer;
  /** Asks as a channel would. */
  ask<M extends MethodName>(asked: Asked<M>): Promise<Result<M>>;
  readonly questions: Question[];
  readonly events: SignerEvent[];
  /** Requests that wait for a person now, and how often that began. */
  readonly heartbeats: { open: number; begun: number };
}

/** A signer over local keys, whose prompter answers yes, unless the options say otherwise. */
export const makeRig = async (options: Partial<SignerOptions> = {}): Promise<Rig> => {
  const questions: Question[] = [];
  const events: SignerEvent[] = [];
  const heartbeats = { open: 0, begun: 0 };
  const { prompter = { ask: async () => true } } = options;
  const handler = createSigner({
    keys: options.keys ?? (await makeKeys()),
    name: "phone",
    results: memoryResults(),
    onEvent: (event) => void events.push(event),
    ...options,
    prompter: {
      ask: (question, signal) => {
        questions.push(question);
        return prompter.ask(question, signal);
      },
    },
  });
  const peer = newPeer();
  const waiting = () => {
    heartbeats.open++;
    heartbeats.begun++;
    return () => {
      heartbeats.open--;
    };
  };
  return {
    handler,
    peer,
    questions,
    events,
    heartbeats,
    ask: async <M extends MethodName>(asked: Asked<M>) => {
      const request: IncomingRequest<M> = {
        id: newId(),
        peer,
        binding: new Uint8Array(32).fill(7),
        signal: new AbortController().signal,
        waiting,
        hash: hashOf(asked.method, asked.params),
        ...asked,
      };
      return (await handler(request as IncomingRequest)) as Result<M>;
    },
  };
};

/** Any hash does that differs with the request. */
const hashOf = (method: string, params: object): Uint8Array<ArrayBuffer> => {
  const chunks = Object.entries(params).flatMap(([name, value]) => [
    utf8(`${name}:`),
    value instanceof Uint8Array ? value : utf8(String(JSON.stringify(value))),
  ]);
  return new Uint8Array(
    createHash("sha256")
      .update(concat(utf8(method), ...chunks))
      .digest(),
  );
};
