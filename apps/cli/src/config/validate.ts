import { CryptoError } from "@lango/crypto-core";
import type { JsonValue } from "@lango/envelope";
import type { z } from "zod";
import type { Config } from "./defaults.ts";
import { configSchema } from "./schema.ts";

/**
 * Checks what a configuration file says and fills in the defaults.
 *
 * @param name - How the error names the configuration.
 * @throws CryptoError `ERR_CONFIG` that names the path of every fault, and no value: one may be a token.
 */
export function validateConfig(value: JsonValue, name: string): Config {
  const result = configSchema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap(describeIssue);
  throw new CryptoError("ERR_CONFIG", `${name}: ${faults.join("; ")}`, {
    context: { hint: 'See "lango settings schema" for every setting' },
  });
}

/** A key under which somebody put a PIN: `pin`, `userPin`, `pin-value`, `PIN`. */
const PIN_KEY = /^(user|so)?[-_]?pin([-_]?(value|source))?$/i;

function describeIssue(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map((key) => shown(String(key))).join(".");
  if (issue.code !== "unrecognized_keys") return [`${path || "the whole"}: ${issue.message}`];
  return issue.keys.map((key) => {
    const full = path === "" ? shown(key) : `${path}.${shown(key)}`;
    return PIN_KEY.test(key)
      ? `${full}: a PIN does not belong into the configuration, set LANGO_PKCS11_PIN instead`
      : `${full}: there is no such setting`;
  });
}

/** A key as the file has it, quoted where it is not like ours: it may hold line breaks, or be as long as the file. */
const shown = (key: string): string =>
  /^[\w-]{1,64}$/.test(key) ? key : JSON.stringify(key.slice(0, 64));
