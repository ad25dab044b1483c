import { CryptoError } from "@lango/crypto-core";
import type { CreateVaultOptions, Vault } from "./types.ts";

export const createVault = (options: CreateVaultOptions): Promise<Vault> => {
  throw new CryptoError("ERR_INTERNAL", `not written yet: ${options.home}`);
};
