import { zero } from "@lango/crypto-core";
import type { Credential } from "@lango/unlock";
import type { Handler } from "../cli/command.ts";
import { counted } from "../cli/output.ts";
import { changeVaultKey } from "../cli/rekey.ts";
import { withVault } from "../cli/vault.ts";

/** Puts a new vault key in the place of the old one; the data keys and values stay as they are. */
export const run: Handler = async (context, args) => {
  let opener: Credential | undefined;
  const keepCredential = (credential: Credential): void => {
    opener = credential;
  };
  try {
    // What lies about on the machine shall not throw out the slots of its owner.
    const needs = { freshConsent: true, keepCredential };
    return await withVault(context, args, needs, (vault, providers) =>
      changeVaultKey(
        { context, args, vault, providers, opener: opener! },
        "Make a new vault key?",
        {},
        async (_vault, report) => {
          for (const sentence of report.notRevoked) context.note(sentence);
          const { slots, dropped, keys, renewed } = report;
          const places = renewed.length === 0 ? "" : `; new keys in ${renewed.join(" and ")}`;
          return {
            data: report,
            text: `The vault has a new key: ${counted(keys, "key")} sealed anew, ${counted(slots.length, "slot")} now, ${dropped.length} went${places}`,
          };
        },
      ),
    );
  } finally {
    zero(opener?.secret);
  }
};
