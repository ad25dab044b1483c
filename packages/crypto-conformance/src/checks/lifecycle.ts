import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";
import { concat, isCryptoError, type Operation, utf8 } from "@lango/crypto-core";
import { assertBytes, pattern, rejectionOf, rejectsWith } from "../assertions.ts";
import { makeSamples, NO_SAMPLES, sampleCalls } from "../calls.ts";
import type { Check, CheckContext } from "../harness.ts";

/** Cancellation, parallel calls, and what errors give away. */
export const lifecycleChecks: readonly Check[] = [
  {
    name: "capabilities: name, operations and limits fit together",
    needs: [],
    async run({ provider }) {
      const { name, capabilities } = provider;
      assert.match(name, /^[a-z][a-z0-9-]*$/, "the name of the provider");
      for (const operation of capabilities.operations) {
        assert.equal(typeof provider[operation], "function", `${operation} has no method`);
      }
      const { operations, keyAlgorithms, signatureAlgorithms, macAlgorithms } = capabilities;
      const has = (operation: (typeof operations)[number]) => operations.includes(operation);
      assert.equal(has("createKey"), keyAlgorithms.length > 0, "createKey and keyAlgorithms");
      assert.equal(has("sign"), signatureAlgorithms.length > 0, "sign and signatureAlgorithms");
      assert.equal(has("mac"), macAlgorithms.length > 0, "mac and macAlgorithms");
      if (has("wrapKey")) assert.ok(capabilities.maxWrapBytes >= 32, "maxWrapBytes below 32");
    },
  },
  {
    name: "abort: a call with an aborted signal rejects with the signal's reason",
    needs: [],
    async run(context) {
      for (const { operation, run } of sampleCalls(context, await makeSamples(context), true)) {
        const reason = new Error("aborted before the call");
        const actual = await rejectionOf(
          () => run({ signal: AbortSignal.abort(reason) }),
          operation,
        );
        assert.ok(actual === reason, `${operation} rejected with ${actual}, not with the reason`);
      }
    },
  },
  {
    name: "abort: an abort during a call rejects it with the signal's reason",
    needs: [],
    async run(context) {
      for (const { operation, run } of sampleCalls(context, await makeSamples(context), false)) {
        const controller = new AbortController();
        const reason = new Error("aborted during the call");
        const call = () => {
          const promise = run({ signal: controller.signal });
          controller.abort(reason);
          return promise;
        };
        const actual = await rejectionOf(call, operation);
        assert.ok(actual === reason, `${operation} rejected with ${actual}, not with the reason`);
      }
    },
  },
  {
    name: "abort: leaves the provider usable and no rejection unhandled",
    needs: [],
    async run(context) {
      const unhandled: unknown[] = [];
      const onUnhandled = (error: unknown) => unhandled.push(error);
      process.on("unhandledRejection", onUnhandled);
      try {
        for (const { run } of sampleCalls(context, await makeSamples(context), false)) {
          const controller = new AbortController();
          const call = run({ signal: controller.signal }).catch(() => {});
          controller.abort(new Error("aborted"));
          await call;
          await run({});
        }
        // Node reports a rejection as unhandled when the microtasks after it have run.
        await nextTurn();
        await nextTurn();
      } finally {
        process.off("unhandledRejection", onUnhandled);
      }
      assert.equal(unhandled.length, 0, `unhandled: ${unhandled[0]}`);
    },
  },
  {
    name: "encrypt: calls in parallel do not mix up",
    needs: ["encrypt", "decrypt"],
    async run({ provider, keys, parallelCalls = 50 }) {
      const one = async (call: number) => {
        const keyId = keys.aead![call % 2]!;
        const plaintext = pattern(16 + (call % 32), call);
        const { ciphertext } = await provider.encrypt({ keyId, plaintext });
        assertBytes(await provider.decrypt({ keyId, ciphertext }), plaintext, `call ${call}`);
      };
      await Promise.all(Array.from({ length: parallelCalls }, (_, call) => one(call)));
    },
  },
  {
    name: "sign: calls in parallel do not mix up",
    needs: ["sign", "verify"],
    async run({ provider, keys, parallelCalls = 50 }) {
      const keyIds = Object.values(keys.signing!);
      const one = async (call: number) => {
        const keyId = keyIds[call % keyIds.length]!;
        const message = pattern(32, call);
        const { signature } = await provider.sign({ keyId, message });
        assert.ok(await provider.verify({ keyId, message, signature }), `call ${call}`);
      };
      await Promise.all(
        Array.from({ length: Math.min(parallelCalls, 50) }, (_, call) => one(call)),
      );
    },
  },
  {
    name: "errors: hold no plaintext, AAD or key, in any encoding",
    needs: [],
    async run(context) {
      const secret = utf8("S3cret-plaintext-of-the-conformance-suite-0123");
      for (const { what, call } of failingCalls(context, secret)) {
        const error = await rejectionOf(call, what);
        assert.ok(isCryptoError(error), `${what}: ${error} is no CryptoError`);
        const text = inspect(error, { depth: 10, showHidden: true, maxStringLength: null });
        const bytes = inspect(error, { depth: 10, maxArrayLength: null }).replaceAll(/\s/g, "");
        for (const form of formsOf(secret)) {
          assert.ok(!`${text}\n${error.stack}`.includes(form), `${what}: the error holds a secret`);
        }
        const decimal = [...secret.subarray(0, 16)].join(",");
        assert.ok(!bytes.includes(decimal), `${what}: the error holds the bytes of a secret`);
      }
    },
  },
];

/** These end the provider, so they come last, in this order. */
export const closeChecks: readonly Check[] = [
  {
    name: "close: may be called twice, also at once",
    needs: [],
    async run({ provider }) {
      await Promise.all([provider.close(), provider.close()]);
      await provider.close();
    },
  },
  {
    name: "close: every later call is ERR_CLOSED",
    needs: [],
    async run(context) {
      await context.provider.close();
      for (const { operation, run } of sampleCalls(context, NO_SAMPLES, true)) {
        await rejectsWith("ERR_CLOSED", () => run({}), `${operation} after close`);
      }
    },
  },
];

interface FailingCall {
  readonly what: string;
  readonly call: () => Promise<unknown>;
}

/** Calls that fail with a secret in their hands: at the client, at the look-up of the key, and in the cipher. */
function failingCalls({ client, keys }: CheckContext, secret: Uint8Array): FailingCall[] {
  const { capabilities } = client;
  const keyId = keys.missing;
  const aead = keys.aead?.[0] ?? keyId;
  const aad = capabilities.aad ? secret : undefined;
  const wrapAad = capabilities.wrapAad ? secret : undefined;
  const large = new Uint8Array(capabilities.maxPlaintextBytes + 1);
  large.set(secret.subarray(0, large.length));
  const calls: Partial<Record<Operation, (() => Promise<unknown>)[]>> = {
    encrypt: [
      () => client.encrypt({ keyId, plaintext: secret, aad }),
      () => client.encrypt({ keyId: aead, plaintext: large }),
    ],
    decrypt: [() => client.decrypt({ keyId: aead, ciphertext: concat(secret, secret), aad })],
    wrapKey: [() => client.wrapKey({ keyId, key: secret, aad: wrapAad })],
    unwrapKey: [
      () => client.unwrapKey({ keyId: aead, wrappedKey: concat(secret, secret), aad: wrapAad }),
    ],
    rewrapKey: [
      () =>
        client.rewrapKey({
          keyId: aead,
          toKeyId: aead,
          wrappedKey: concat(secret, secret),
          aad: wrapAad,
        }),
    ],
    sign: [() => client.sign({ keyId, message: secret })],
    mac: [() => client.mac({ keyId, message: secret })],
  };
  return capabilities.operations.flatMap((operation) =>
    (calls[operation] ?? []).map((call) => ({ what: `a failing ${operation}`, call })),
  );
}

/** Text that gives a secret away: itself, hexadecimal, and base64 in each of its three alignments. */
function formsOf(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString("hex");
  const base64 = [0, 1, 2].flatMap((offset) => {
    // Without the characters at the ends, which the neighbours change.
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
    return [shifted.toString("base64"), shifted.toString("base64url")].map((text) =>
      text.slice(4, -4),
    );
  });
  return [bytes.toString("latin1"), hex, hex.toUpperCase(), ...base64];
}
