import type { SourceDescription } from "@lango/unlock";

/** The source that would open the vault, and how people read it. */
export function wouldUnlock(sources: readonly SourceDescription[]): {
  readonly used: SourceDescription | undefined;
  readonly text: string;
} {
  const used = sources.find(({ state }) => state === "would use");
  // Looking into a pipe would empty it.
  return {
    used,
    text: used?.source === "stdin" ? "stdin, if something is piped in" : (used?.source ?? "none"),
  };
}
