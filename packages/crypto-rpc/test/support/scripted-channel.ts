import type { Channel, ChannelCallOptions, MethodName } from "@lango/companion";
import { CryptoError } from "@lango/crypto-core";

/** A request as it reached the other end. */
export interface Sent {
  readonly method: MethodName;
  readonly params: Readonly<Record<string, unknown>>;
  readonly options: ChannelCallOptions;
}

/** A channel whose other end is a function, for what no companion does on demand. */
export interface ScriptedChannel extends Channel {
  /** As a lost connection does: what is in flight fails, and then it is closed. */
  drop(): void;
}

export const scriptedChannel = (
  answer: (sent: Sent) => unknown,
  peerId = "companion-1",
): ScriptedChannel => {
  const gone = Promise.withResolvers<string>();
  const inFlight = new Set<(error: CryptoError) => void>();
  const drop = (): void => {
    for (const reject of inFlight)
      reject(new CryptoError("ERR_UNAVAILABLE", "The connection is gone"));
    gone.resolve("gone");
  };
  return {
    peer: {
      id: peerId,
      name: peerId,
      role: "companion",
      fingerprint: "",
      state: "active",
      pairedAt: 0,
    },
    publicKey: new Uint8Array(),
    binding: new Uint8Array(32),
    call: (method, params, options = {}) =>
      new Promise((resolve, reject) => {
        inFlight.add(reject);
        const sent = { method, params, options } as Sent;
        new Promise((settle) => settle(answer(sent))).then(
          (result) => resolve(result as never),
          reject,
        );
      }),
    closed: gone.promise,
    close: async () => drop(),
    drop,
  };
};
