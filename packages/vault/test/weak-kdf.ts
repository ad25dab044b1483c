import type { Kdf } from "@lango/envelope";
import { quickKdf } from "./helpers.ts";

/** Options of a slot that is quick to derive. Spread them. */
export const weakKdf = (): { readonly kdf: Kdf; readonly acceptWeakKdf: true } => ({
  kdf: quickKdf(),
  acceptWeakKdf: true,
});
