import { CryptoError } from "@lango/crypto-core";
import { compileCustom, type Search } from "./custom.ts";
import { PII_PATTERNS, type PiiCategory, type PiiName, type PiiPattern } from "./patterns.ts";
import { REPLACEMENT, replaceFindings } from "./replace.ts";

export interface PiiRedactorOptions {
  /** Patterns to turn on that are off by default. */
  readonly enable?: readonly PiiName[];
  /** Patterns to turn off. */
  readonly disable?: readonly PiiName[];
  /** Further patterns by name: sources of regular expressions, which run with the flags `g` and `u`. */
  readonly custom?: Readonly<Record<string, string>>;
  /** How long one custom pattern may take for one text, on the clock: a busy machine takes longer. Default: 2000. */
  readonly customTimeoutMs?: number;
  /** Default: `[REDACTED]`. */
  readonly replacement?: string;
}

/** One place in a text. Places count UTF-16 units, as all of JavaScript does. */
export interface PiiFinding {
  readonly name: string;
  readonly category: PiiCategory;
  readonly start: number;
  readonly end: number;
}

export interface PiiRedactor {
  /**
   * Where personal data stands, in order; places may overlap.
   *
   * @throws {@link CryptoError} `ERR_CONFIG` when a custom pattern takes too long: the text must then not be given out.
   */
  find(text: string): readonly PiiFinding[];
  /** The text with a replacement for each place; places that overlap have one. Throws as `find` does. */
  redact(text: string): { readonly text: string; readonly findings: readonly PiiFinding[] };
}

const DEFAULT_TIMEOUT_MS = 2000;

/**
 * Makes a redactor of personal data: e-mail addresses, telephone numbers, identity, card and account numbers, with their
 * checksums.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a name that is not built in, or a custom pattern that cannot be used.
 */
export const createPiiRedactor = (options: PiiRedactorOptions = {}): PiiRedactor => {
  const { enable = [], disable = [], custom = {}, replacement = REPLACEMENT } = options;
  for (const name of [...enable, ...disable]) {
    if (!Object.hasOwn(PII_PATTERNS, name)) {
      throw new CryptoError("ERR_CONFIG", `There is no pattern ${JSON.stringify(name)}`, {
        context: { hint: `There are ${Object.keys(PII_PATTERNS).join(", ")}` },
      });
    }
  }
  const searches: { name: string; category: PiiCategory; search: Search }[] = [];
  for (const [name, pattern] of Object.entries(PII_PATTERNS) as [PiiName, PiiPattern][]) {
    if ((pattern.isOn || enable.includes(name)) && !disable.includes(name)) {
      searches.push({
        name,
        category: pattern.category,
        search: (text) => searchFor(pattern, text),
      });
    }
  }
  const timeoutMs = options.customTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  for (const [name, source] of Object.entries(custom)) {
    searches.push({ name, category: "custom", search: compileCustom(name, source, timeoutMs) });
  }

  const find = (text: string): PiiFinding[] =>
    searches
      .flatMap(({ name, category, search }) =>
        search(text).map(({ start, end }) => ({ name, category, start, end })),
      )
      .sort((a, b) => a.start - b.start || b.end - a.end);

  return {
    find,
    redact(text) {
      const findings = find(text);
      return { text: replaceFindings(text, findings, replacement), findings };
    },
  };
};

const searchFor = ({ regex, accept }: PiiPattern, text: string): ReturnType<Search> => {
  const places: { start: number; end: number }[] = [];
  regex.lastIndex = 0;
  for (let found = regex.exec(text); found !== null; found = regex.exec(text)) {
    const [match] = found;
    const length = accept === undefined ? match.length : accept(match);
    if (length > 0) places.push({ start: found.index, end: found.index + length });
    // What is no match may have one inside, behind its first group.
    regex.lastIndex = found.index + (length > 0 ? length : firstGroup(match));
  }
  return places;
};

const firstGroup = (match: string): number => {
  const separator = match.search(/[ -]/);
  return separator < 0 ? match.length : separator + 1;
};
