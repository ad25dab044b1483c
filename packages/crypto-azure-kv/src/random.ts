import type { CryptoProvider } from "@lango/crypto-core";
import type { Caller } from "./caller.ts";
import { fail } from "./keys.ts";

/** The most that the service gives at once. */
const RANDOM_BYTES_PER_CALL = 128;

/** Random bytes of a Managed HSM; vaults give none. */
export const createRandom = ({ run }: Caller): Required<Pick<CryptoProvider, "random">> => ({
  random: (request) =>
    run("random", request, async (call) => {
      const result = new Uint8Array(request.bytes);
      for (let at = 0; at < result.length; at += RANDOM_BYTES_PER_CALL) {
        const count = Math.min(RANDOM_BYTES_PER_CALL, result.length - at);
        const bytes = await call.keys((keys, options) => keys.getRandomBytes(count, options));
        if (bytes.length !== count) {
          const message = `${bytes.length} random bytes were given, not ${count}`;
          throw fail("ERR_INTEGRITY", message, "random");
        }
        result.set(bytes, at);
        bytes.fill(0);
      }
      return result;
    }),
});
