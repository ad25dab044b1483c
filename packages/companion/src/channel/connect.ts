import { CryptoError } from "@lango/crypto-core";
import type { ConnectOptions } from "./options.ts";
import type { Channel } from "./types.ts";

/**
 * Dials a paired device: TLS 1.3 with both certificates, the pin checked before anything is sent, then the hellos.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for `ws://` and `http://`; `ERR_UNAVAILABLE` when nobody answers there;
 *   `ERR_ACCESS_DENIED` for a certificate that is missing, not valid now, not pinned, suspended or of another device;
 *   `ERR_UNSUPPORTED` when no version of the protocol is common; `ERR_TIMEOUT`.
 */
export const connectChannel = (_options: ConnectOptions): Promise<Channel> =>
  Promise.reject(new CryptoError("ERR_INTERNAL", "Not there yet"));
