import { CryptoError } from "@lango/crypto-core";
import { createGate } from "./gate.ts";
import type { HomePaths, KeyslotsFile } from "./keyslots-file.ts";
import { listSlots } from "./slots.ts";
import { readLockedStatus } from "./status.ts";
import type { LockedVault } from "./types.ts";

/** What can be seen of a vault whose database is encrypted: what `keyslots.json` says. */
export const readEncrypted = (
  home: string,
  paths: HomePaths,
  { keyslots }: KeyslotsFile,
): LockedVault => {
  const gate = createGate("The vault");
  const refuse = (): Promise<never> =>
    gate.run(async () => {
      throw new CryptoError(
        "ERR_LOCKED",
        `${paths.database} is encrypted: it shows nothing while the vault is locked`,
        {
          context: { hint: "Ask with what opens the vault, such as its passphrase" },
        },
      );
    });
  const vault: LockedVault = {
    id: keyslots.vaultId,
    home,
    hidesRows: true,
    secrets: { list: refuse },
    keys: { list: refuse },
    slots: { list: () => gate.run(() => listSlots(paths)) },
    companions: { list: refuse },
    audit: {
      verifyLinks: refuse,
      tail: refuse,
      findLast: refuse,
      // biome-ignore lint/correctness/useYield: it has nothing to give.
      records: async function* () {
        await refuse();
      },
    },
    status: () => gate.run(() => readLockedStatus(paths)),
    close: () => gate.close(),
    [Symbol.asyncDispose]: () => vault.close(),
  };
  return vault;
};
