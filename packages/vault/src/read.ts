import { CryptoError } from "@lango/crypto-core";
import type { LockedVault } from "./types.ts";

export const readVault = (options: { readonly home: string }): Promise<LockedVault> => {
  throw new CryptoError("ERR_INTERNAL", `not written yet: ${options.home}`);
};
