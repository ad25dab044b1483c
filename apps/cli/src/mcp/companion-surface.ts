import type { Surface } from "@lango/guard";
import type { Vault } from "@lango/vault";
import type { Context } from "../cli/context.ts";
import type { KeySettings } from "../cli/provider-settings.ts";
import { companionLink } from "../cli/rpc-provider.ts";

/**
 * Asks the companion that is paired with this vault for approvals; it is dialled when it is first asked. A yes there counts for
 * dangerous actions too: the device signs it, and no agent has its key.
 *
 * @returns `undefined` when none is paired.
 */
export async function companionSurface(
  context: Context,
  signer: KeySettings["signer"],
  { companions }: Pick<Vault, "companions">,
): Promise<(Surface & AsyncDisposable) | undefined> {
  const isPaired = (await companions.list()).some(
    ({ role, state }) => role === "companion" && state === "active",
  );
  if (!isPaired) return undefined;
  const companion = await companionLink(context, signer, companions);
  return {
    name: "companion",
    // Whether it answers is known when it is asked; if not, that is no answer, and fails at once.
    counts: () => true,
    async ask(request, signal) {
      const { createCompanionSurface } = await import("../cli/companion.ts");
      const channel = await companion.link.channel(signal);
      return createCompanionSurface({ channel: () => channel }).ask(request, signal);
    },
    [Symbol.asyncDispose]: () => companion[Symbol.asyncDispose](),
  };
}
