import type { Guard, GuardedTool } from "@lango/guard";
import { cryptoTools } from "./crypto-tools.ts";
import { createAgentKeys, type FindClient } from "./keys.ts";
import type { VaultReferences } from "./references.ts";
import { checkArguments, schemaOf } from "./schema.ts";
import { type RequestSecret, secretTools } from "./secret-tools.ts";
import type { ToolVault } from "./vault.ts";

export interface CreateToolsOptions {
  readonly vault: ToolVault;
  /** The guard of the agent's session. */
  readonly guard: Guard;
  /** The resolver that the guard was made with; it keeps what is decrypted. */
  readonly references: Pick<VaultReferences, "keep">;
  /** What works with keys that are not local. Default: those are `ERR_KEY_NOT_FOUND`. */
  readonly crypto?: FindClient;
  /** Asks a person for a secret. Default: `secrets.request` is denied at once. */
  readonly requestSecret?: RequestSecret;
  /** Names or URIs of further keys that agents can neither see nor use. Default: none. */
  readonly reservedKeys?: readonly string[];
}

/**
 * Makes the tools of an agent: `secrets.store|get|list|delete|request` and `crypto.encrypt|decrypt|sign|verify|hash|keys`. Each
 * has a definition with a JSON Schema and is called with one object; no result and no error holds a value of a secret.
 */
export const createTools = (options: CreateToolsOptions): readonly GuardedTool[] => {
  const { vault, guard, references, crypto, requestSecret, reservedKeys } = options;
  const keys = createAgentKeys({ vault, crypto, reserved: reservedKeys });
  const specs = [
    ...secretTools({ vault, guard, requestSecret }),
    ...cryptoTools({ keys, references }),
  ];
  return specs.map(({ parameters, run, exact = true, ...definition }) =>
    guard.wrapTool(
      {
        ...definition,
        exact,
        inputSchema: schemaOf(parameters),
        check: (args) => checkArguments(parameters, args),
      },
      run,
    ),
  );
};
