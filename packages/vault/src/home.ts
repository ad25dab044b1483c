import { CryptoError } from "@lango/crypto-core";
import type { HomeState } from "./types.ts";

export const inspectHome = (home: string): Promise<HomeState> => {
  throw new CryptoError("ERR_INTERNAL", `not written yet: ${home}`);
};
