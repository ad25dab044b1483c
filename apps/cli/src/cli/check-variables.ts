import { readFileSync } from "node:fs";
import { CryptoError } from "@lango/crypto-core";

/** Variables that have a second name, which older setups use. */
const TWO_NAMES = [
  ["LANGO_MASTER_KEY", "AUTHSOME_MASTER_KEY"],
  ["LANGO_MESSAGE_ENCRYPTION_KEY", "PLATOS_MESSAGE_ENCRYPTION_KEY"],
  ["LANGO_MESSAGE_ENCRYPTION_KEY_NEXT", "PLATOS_MESSAGE_ENCRYPTION_KEY_NEXT"],
  ["LANGO_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_TOKEN"],
] as const;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Refuses two names of one thing that say different things, whether or not this command uses it: which of them counts is
 * not guessed.
 *
 * @throws CryptoError `ERR_CONFIG` that names both.
 */
export function checkVariables(env: Environment): void {
  for (const names of TWO_NAMES) {
    const [first, second] = names.map((name) => given(env, name));
    if (first === undefined || second === undefined) continue;
    if (canonical(first.value) === canonical(second.value)) continue;
    throw new CryptoError(
      "ERR_CONFIG",
      `${first.name} and ${second.name} are both set and differ`,
      {
        context: { hint: "Unset one of them" },
      },
    );
  }
}

function given(env: Environment, name: string): { name: string; value: string } | undefined {
  if (env[name]) return { name, value: env[name] };
  const path = env[`${name}_FILE`];
  try {
    return path ? { name: `${name}_FILE`, value: readFileSync(path, "latin1") } : undefined;
  } catch {
    // Whoever uses it says what is wrong with it.
    return undefined;
  }
}

/** One form for what two people may have written as hex and as base64. */
function canonical(value: string): string {
  const text = value.trimEnd();
  return /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, "hex").toString("base64") : text;
}
