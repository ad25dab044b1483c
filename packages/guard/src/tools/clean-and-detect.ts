import { CryptoError } from "@lango/crypto-core";
import { detectIn } from "../pii/detector.ts";
import { type Cleaning, cleanValue } from "./clean-value.ts";

/** How often a text may come out as one that the detector has not seen yet. */
const MAX_PASSES = 4;

/**
 * As `clean`, and then with what the detector finds replaced in every text of the copy. A first pass gathers the texts, the
 * detector looks at all of them together, and a second pass over the copy puts in what is left of them.
 */
export const cleanAndDetect = async (
  value: unknown,
  cleaning: Cleaning,
  clean: (value: unknown, cleaning: Cleaning) => unknown = cleanValue,
): Promise<unknown> => {
  const { detector } = cleaning.parts;
  if (detector === undefined) return clean(value, cleaning);
  const known = new Map<string, string>();
  let { parts } = cleaning;
  let copy = value;
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const unseen = new Set<string>();
    const last = (text: string): string => {
      const redacted = known.get(text);
      if (redacted === undefined) unseen.add(text);
      return redacted ?? text;
    };
    copy = clean(copy, { ...cleaning, parts: { ...parts, last }, seen: new Map() });
    unseen.delete("");
    if (unseen.size === 0) return copy;
    for (const [text, redacted] of await detectIn(detector, unseen, cleaning.signal)) {
      known.set(text, redacted);
      known.set(redacted, redacted);
    }
    // The copy is masked, and its streams have their own detector.
    parts = { scanner: parts.scanner };
  }
  throw new CryptoError("ERR_INTERNAL", "A text changes each time that it is looked at");
};
