import { CryptoError } from "@lango/crypto-core";
import type { OpenVaultOptions, Vault } from "./types.ts";

export const openVault = (options: OpenVaultOptions): Promise<Vault> => {
  throw new CryptoError("ERR_INTERNAL", `not written yet: ${options.home}`);
};
