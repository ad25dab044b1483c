import type { PolicyRule, SignerPolicy } from "@lango/companion";
import { parseKeyUri } from "@lango/crypto-core";
import type { Vault } from "@lango/vault";
import { type Arguments, usageError } from "./arguments.ts";

/** What a person is asked for; an approval is a person's yes, and no rule can give it. */
const ASKED = ["sign", "decrypt", "unwrapKey", "mac", "wallet.sign"] as const;

/** What paired agents may do with the keys of the vault. */
export async function policyOf({ keys }: Vault, args: Arguments): Promise<SignerPolicy> {
  const wallets = args.strings("wallet");
  const known = wallets.length === 0 ? [] : await keys.list();
  for (const name of wallets) {
    if (known.some((key) => key.name === name && key.algorithm === "secp256k1")) continue;
    throw usageError(`--wallet ${name}: there is no key of that name on secp256k1`);
  }
  return { rules: args.strings("allow").map(ruleOf), wallets };
}

function ruleOf(text: string): PolicyRule {
  const [name = "", key] = text.split(/=(.*)/s);
  const method = ASKED.find((each) => each === name);
  if (method === undefined) {
    throw usageError(
      `--allow ${text}: ${name} is nothing that can be allowed`,
      `Use METHOD or METHOD=KEY, with one of ${ASKED.join(", ")}`,
    );
  }
  if (key !== undefined) parseKeyUri(`local:${key}`);
  return { methods: [method], ask: false, ...(key !== undefined && { key }) };
}
