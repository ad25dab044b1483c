import { inspect } from "node:util";
import type { ChannelEvent } from "@lango/companion";
import { type CryptoProvider, isCryptoError, toHex, utf8 } from "@lango/crypto-core";
import { afterAll, expect, test, vi } from "vitest";
import { createRpcProvider } from "../src/index.ts";
import { makePair } from "./support/companion.ts";
import { readKeys } from "./support/keys.ts";

const pair = await makePair();
afterAll(() => pair.remove());

test("no plaintext and no key in any event, error or output of both sides, with all of Node's own logging on", async () => {
  const written: string[] = [];
  const streams = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, "write").mockImplementation((chunk) => {
      written.push(String(chunk));
      return true;
    }),
  );
  vi.stubEnv("NODE_DEBUG", "tls,http,https,net,stream");
  vi.stubEnv("DEBUG", "*");
  const secret = utf8("S3cret-plaintext-that-nobody-logs-0123456789");
  const events: ChannelEvent[] = [];
  const errors: unknown[] = [];
  const companion = await pair.start();
  const provider = createRpcProvider({
    url: companion.url,
    identity: pair.identity,
    peers: pair.peers,
    timeoutMs: 5000,
    onEvent: (event) => events.push(event),
  }) as Required<CryptoProvider>;
  const note = (error: unknown): void => {
    errors.push(error);
  };
  try {
    const { ciphertext } = await provider.encrypt({
      keyId: "data",
      plaintext: secret,
      aad: secret,
    });
    expect(await provider.decrypt({ keyId: "data", ciphertext, aad: secret })).toEqual(secret);
    const { wrappedKey } = await provider.wrapKey({ keyId: "data", key: secret });
    await provider.unwrapKey({ keyId: "data", wrappedKey });
    await provider.sign({ keyId: "ed", message: secret });
    await provider.sign({ keyId: "p256", message: secret });
    await provider.mac({ keyId: "mac-256", message: secret });
    await Promise.all(
      [
        provider.encrypt({ keyId: "missing", plaintext: secret }),
        provider.encrypt({ keyId: "disabled", plaintext: secret }),
        provider.encrypt({ keyId: "ed", plaintext: secret }),
        provider.encrypt({ keyId: "data", plaintext: new Uint8Array(65_537).fill(83) }),
        provider.decrypt({ keyId: "data", ciphertext: secret, aad: secret }),
        provider.unwrapKey({ keyId: "data", wrappedKey: secret }),
        provider.sign({ keyId: "missing", message: secret }),
        provider.mac({ keyId: "ed", message: secret }),
      ].map((call) => call.catch(note)),
    );
    const underWay = Array.from({ length: 50 }, () =>
      provider.encrypt({ keyId: "data", plaintext: secret }).catch(note),
    );
    await companion.stop();
    await Promise.all(underWay);
    await provider.encrypt({ keyId: "data", plaintext: secret }).catch(note);
    await provider.close();
  } finally {
    for (const stream of streams) stream.mockRestore();
    vi.unstubAllEnvs();
  }
  expect(errors.length).toBeGreaterThan(8);
  expect(errors.filter((error) => !isCryptoError(error))).toEqual([]);
  expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["connected", "closed"]));
  const told = [
    inspect(events, { depth: 20, maxStringLength: null, maxArrayLength: null }),
    ...errors.map((error) =>
      inspect(error, { depth: 20, showHidden: true, maxStringLength: null }),
    ),
    ...written,
    companion.output(),
  ].join("\n");
  const materials = readKeys(pair.keysFile).flatMap(({ versions }) =>
    versions.flatMap(({ material }) => (material instanceof Uint8Array ? [material] : [])),
  );
  expect(materials).toHaveLength(10);
  for (const bytes of [secret, ...materials]) {
    const buffer = Buffer.from(bytes);
    const middle = buffer.toString("base64").slice(4, -4);
    for (const form of [buffer.toString("latin1"), toHex(bytes), middle, [...bytes].join(", ")]) {
      expect(told.includes(form), "a secret was told").toBe(false);
    }
  }
  expect(told).not.toContain("PRIVATE KEY");
});
