import { randomBytes } from "node:crypto";
import { createLocalProvider } from "@lango/crypto-local";
import { expect, onTestFinished, test, vi } from "vitest";
import {
  connectChannel,
  createChannelListener,
  createCompanionSurface,
  createSigner,
  memoryResults,
  type Prompter,
  verifyApproval,
} from "../src/index.ts";
import { makePair } from "./support/devices.ts";

/** A signer behind TLS, and what connects to it. */
const serve = async (prompter: Prompter) => {
  const { agent, companion } = await makePair();
  const keys = createLocalProvider();
  await keys.createKey({ keyId: "sign", algorithm: "ecdsa-p256", usage: "signing" });
  const { identity } = companion;
  const results = memoryResults();
  const handler = createSigner({ keys, name: "phone", identity, results, prompter });
  const listener = createChannelListener({ role: "companion", ...companion, handler });
  onTestFinished(() => listener.close());
  const { host, port } = await listener.listen();
  const connect = () => connectChannel({ role: "agent", ...agent, url: `https://${host}:${port}` });
  return { connect, identity };
};

const message = new TextEncoder().encode("release");
const newId = () => randomBytes(16).toString("base64url");

test("an approval over TLS: the evidence holds for the connection and the pin", async () => {
  const { connect, identity } = await serve({ ask: async () => true });
  const channel = await connect();
  const surface = createCompanionSurface({ channel: () => channel });
  const commitment = new Uint8Array(randomBytes(32));
  const summary = ["Send 5 USDC"];
  const request = { commitment, summary, dangerous: true, expiresAt: Date.now() + 60_000 };
  const answer = await surface.ask(request, new AbortController().signal);
  expect(answer).toMatchObject({ approved: true, by: "companion" });
  const { id, decidedAt, signature } = JSON.parse(new TextDecoder().decode(answer.evidence));
  const { binding, publicKey } = channel;
  const statement = { ...request, id, decidedAt, binding, approved: true };
  const bytes = Buffer.from(signature, "base64");
  const { fingerprint } = identity;
  expect(verifyApproval({ fingerprint, publicKey }, statement, bytes)).toBe(true);
  const other = await connect();
  const moved = { ...statement, binding: other.binding };
  expect(verifyApproval({ fingerprint, publicKey }, moved, bytes)).toBe(false);
});

test("a retry over another connection gets the same signature, and nobody is asked again", async () => {
  const ask = vi.fn(async () => true);
  const { connect } = await serve({ ask });
  const id = newId();
  const first = await connect();
  const signed = await first.call("sign", { keyId: "sign", message }, { id });
  await first.close();
  const second = await connect();
  expect(await second.call("sign", { keyId: "sign", message }, { id })).toEqual(signed);
  expect(ask).toHaveBeenCalledTimes(1);
  const other = { keyId: "sign", message: new TextEncoder().encode("other") };
  await expect(second.call("sign", other, { id })).rejects.toMatchObject({ code: "ERR_CONFLICT" });
});

test("who gives up, or is gone, withdraws the question; who comes back is asked again", async () => {
  const signals: AbortSignal[] = [];
  const { connect } = await serve({
    ask: (_, signal) => {
      signals.push(signal);
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
  });
  const channel = await connect();
  const patience = new AbortController();
  const id = newId();
  const params = { keyId: "sign", message };
  const given = channel.call("sign", params, { id, signal: patience.signal });
  await vi.waitFor(() => expect(signals).toHaveLength(1));
  patience.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  await vi.waitFor(() => expect(signals[0]?.aborted).toBe(true));
  const lost = channel.call("sign", params, { id });
  lost.catch(() => {});
  await vi.waitFor(() => expect(signals).toHaveLength(2));
  await channel.close();
  await expect(lost).rejects.toMatchObject({ name: "CryptoError" });
  await vi.waitFor(() => expect(signals[1]?.aborted).toBe(true));
});
