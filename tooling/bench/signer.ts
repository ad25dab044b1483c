import { createHash, randomBytes } from "node:crypto";
import { createSigner, type IncomingRequest, memoryResults } from "@lango/companion";
import { type Bytes, type CryptoProvider, createCryptoClient } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import { type Measure, median } from "./paired.ts";

const SIGNATURES = 5000;

/** What the companion's signer adds to a signature of its keys, without a network: p50 of one after the other, nobody asked. */
export const measureSigner = async (): Promise<Measure[]> => {
  const keys = createLocalProvider();
  await keys.createKey?.({ keyId: "ed", algorithm: "ed25519", usage: "signing" });
  const message = new Uint8Array(randomBytes(32));
  const client = createCryptoClient({ provider: keys });
  const signer = throughSigner(keys, message);
  const bare = () => client.sign({ keyId: "ed", message });
  await Promise.all([p50(signer), p50(bare)]);
  const ours = await p50(signer);
  const theirs = await p50(bare);
  await client.close();
  return [
    {
      name: "rpc-signer-own-work-p50-vs-its-keys",
      unit: "ms",
      ours,
      theirs,
      ratio: ours / theirs,
      target: "none",
      met: true,
    },
  ];
};

/** A request as a channel makes it: new id, hash on demand. */
const throughSigner = (keys: CryptoProvider, message: Bytes): (() => Promise<unknown>) => {
  const policy = { rules: [{ methods: ["sign"], ask: false }] } as const;
  const handler = createSigner({ keys, name: "bench", results: memoryResults(), policy });
  const peer = {
    id: "bench",
    name: "bench",
    role: "agent",
    fingerprint: "",
    state: "active",
    pairedAt: 0,
  } as const;
  const { signal } = new AbortController();
  const hash = new Uint8Array(createHash("sha256").update(message).digest());
  return () => {
    const id = randomBytes(16).toString("base64url");
    const params = { keyId: "ed", message };
    const request: IncomingRequest<"sign"> = {
      id,
      method: "sign",
      params,
      peer,
      binding: hash,
      signal,
      hash,
      waiting: () => () => {},
    };
    return handler(request as IncomingRequest);
  };
};

const p50 = async (call: () => Promise<unknown>): Promise<number> => {
  const times: number[] = [];
  for (let i = 0; i < SIGNATURES; i++) {
    const startedAt = performance.now();
    await call();
    times.push(performance.now() - startedAt);
  }
  return median(times);
};
