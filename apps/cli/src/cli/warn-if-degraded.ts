import type { SetSecretResult } from "@lango/vault";
import type { Context } from "./context.ts";

/** Says that the fallback sealed a value: until its data key is wrapped again, the vault's own key opens it. */
export function warnIfDegraded(context: Context, { name, degraded }: SetSecretResult): void {
  if (degraded !== true) return;
  context.warn(
    `The provider of the key could not be reached: ${name} was sealed under the vault key. "lango security provider rewrap" puts it right, and so does the next use that reaches the provider`,
  );
}
