import { readFileSync } from "node:fs";
import { CryptoError } from "@lango/crypto-core";
import type { VariableFault } from "@lango/unlock";

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
 * not guessed. What else may be wrong with keys and tokens is looked at where they are used, and by `lango doctor --check`.
 *
 * @throws CryptoError `ERR_CONFIG` that names all such pairs.
 */
export function checkVariables(env: Environment): void {
  const faults = TWO_NAMES.flatMap((names): VariableFault[] => {
    const [first, second] = names.map((name) => given(env, name));
    if (first === undefined || second === undefined) return [];
    if (canonical(first.value) === canonical(second.value)) return [];
    const problem = `${first.name} and ${second.name} are both set and differ`;
    return [{ variables: [first.name, second.name], problem, hint: "Unset one of them" }];
  });
  if (faults.length > 0) throw variableFaults(faults);
}

/** One error for any number of faults; the JSON document has the list. @param faults - At least one. */
export function variableFaults(faults: readonly VariableFault[]): CryptoError {
  const [first] = faults;
  const lines = faults.map(({ problem, hint }) =>
    hint === undefined ? problem : `${problem} (${hint})`,
  );
  const [message, hint] =
    first !== undefined && faults.length === 1
      ? [first.problem, first.hint]
      : [`${faults.length} faults in the keys and tokens that are set`, lines.join("\n")];
  const context = hint === undefined ? {} : { hint };
  return Object.assign(new CryptoError("ERR_CONFIG", message, { context }), { faults });
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
