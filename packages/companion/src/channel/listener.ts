import { CryptoError } from "@lango/crypto-core";
import type { ChannelListener, ListenerOptions } from "./options.ts";

/** Makes a listener; nothing listens before `listen` is called or `handleUpgrade` is mounted. */
export const createChannelListener = (_options: ListenerOptions): ChannelListener => {
  throw new CryptoError("ERR_INTERNAL", "Not there yet");
};
