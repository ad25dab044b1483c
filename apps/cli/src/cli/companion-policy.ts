import type { PolicyRule, SignerPolicy } from "@lango/companion";
import { parseKeyUri } from "@lango/crypto-core";
import type { Vault } from "@lango/vault";
import { type Arguments, usageError } from "./arguments.ts";

/** What a person is asked for; an approval is a person's yes, and no rule can give it. */
const ASKED = ["sign", "decrypt", "unwrapKey", "mac", "wallet.sign"] as const;

/**
 * What paired agents may do with the keys of the vault. Keys that this vault itself needs do not exist for them: the default
 * key, those that its secrets are sealed under, and the one that anchors its log.
 */
export async function policyOf(
  vault: Vault,
  args: Arguments,
  anchor: string,
): Promise<SignerPolicy> {
  const keys = await vault.keys.list();
  const used = new Set((await vault.secrets.list()).map(({ key }) => key));
  const own = keys.filter(
    ({ name, uri }) => name === "default" || used.has(uri) || anchor === name || anchor === uri,
  );
  const wallets = args.strings("wallet");
  for (const name of wallets) {
    const key = keys.find((each) => each.name === name);
    if (key?.algorithm !== "secp256k1") {
      throw usageError(`--wallet ${name}: there is no key of that name on secp256k1`);
    }
  }
  return {
    rules: args.strings("allow").map(ruleOf),
    reserved: own.map(({ name }) => name),
    wallets,
  };
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
