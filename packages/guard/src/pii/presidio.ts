import { CryptoError, isCryptoError } from "@lango/crypto-core";
import type { PiiDetector } from "./detector.ts";
import type { PiiFinding } from "./redactor.ts";

export interface PresidioOptions {
  /** Address of a Presidio analyzer, e.g. `http://localhost:5002`. `http:` only for this machine: what is sent is personal. */
  readonly url: string;
  /** Two letters. Default: `en`. */
  readonly language?: string;
  /** Findings with a lower score do not count, 0 to 1. Default: 0.7. */
  readonly scoreThreshold?: number;
  /** For one piece of text. Default: 5000. */
  readonly timeoutMs?: number;
  /**
   * What happens while the analyzer does not answer. `deny` (the default): the text is not given out. `patterns`: the patterns
   * of the redactor have to do; `onSkipped` hears of it each time.
   */
  readonly onFailure?: "deny" | "patterns";
  readonly onSkipped?: (error: CryptoError) => void;
}

/** Longer texts go in pieces, cut at the end of a line or a word: the models take time that grows with the length. */
const MAX_PIECE = 20_000;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/**
 * Makes a detector out of a Presidio analyzer (https://microsoft.github.io/presidio/api-docs/api-docs.html, `POST /analyze`).
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for an address that is not `https:`, or `http:` to this machine.
 */
export const createPresidioDetector = (options: PresidioOptions): PiiDetector => {
  const { language = "en", scoreThreshold = 0.7, timeoutMs = 5000 } = options;
  const { onFailure = "deny", onSkipped } = options;
  const address = analyzeAddress(options.url);

  const analyze = async (text: string, signal: AbortSignal | undefined): Promise<PiiFinding[]> => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const response = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json" },
      // A lone surrogate is no character of the analyzer's; its replacement is as long.
      body: JSON.stringify({
        ...{ text: text.toWellFormed(), language },
        score_threshold: scoreThreshold,
      }),
      // Text that is sent to one address goes to no other.
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    if (!response.ok) throw failed(address, `it answered ${response.status}`);
    return toFindings(await readAnswer(address, response), text, scoreThreshold);
  };

  return {
    async find(text, signal) {
      const findings: PiiFinding[] = [];
      let start = 0;
      try {
        for (const piece of pieces(text)) {
          signal?.throwIfAborted();
          for (const finding of await analyze(piece, signal)) {
            findings.push({
              ...finding,
              start: finding.start + start,
              end: finding.end + start,
            });
          }
          start += piece.length;
        }
      } catch (cause) {
        if (signal?.aborted === true) throw signal.reason;
        const error = isCryptoError(cause)
          ? cause
          : failed(address, whyOf(cause, timeoutMs), cause);
        if (onFailure === "deny") throw error;
        onSkipped?.(error);
      }
      return findings;
    },
  };
};

const analyzeAddress = (url: string): URL => {
  const parsed = URL.parse(url);
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(parsed?.hostname ?? "");
  const isSafe = parsed?.protocol === "https:" || (parsed?.protocol === "http:" && isLocal);
  if (!parsed || !isSafe || parsed.username !== "" || parsed.password !== "") {
    throw new CryptoError("ERR_CONFIG", "The address of the Presidio analyzer cannot be used", {
      context: { hint: "Use https://… without user and password, or http:// to this machine" },
    });
  }
  const base = parsed.pathname.endsWith("/") ? parsed.pathname : `${parsed.pathname}/`;
  return new URL(`${base}analyze`, parsed);
};

/** Never cuts a character in two, and a word only where a text has no end of one for long. */
function* pieces(text: string): Generator<string, void, undefined> {
  let rest = text;
  while (rest.length > MAX_PIECE) {
    const head = rest.slice(0, MAX_PIECE);
    const cut = Math.max(head.lastIndexOf("\n"), head.lastIndexOf(" ")) + 1;
    const end = cut > 0 ? cut : /[\ud800-\udbff]$/.test(head) ? MAX_PIECE - 1 : MAX_PIECE;
    yield rest.slice(0, end);
    rest = rest.slice(end);
  }
  if (rest !== "") yield rest;
}

const readAnswer = async (address: URL, response: Response): Promise<unknown> => {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw failed(address, "its answer is too long");
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
};

const toFindings = (answer: unknown, text: string, scoreThreshold: number): PiiFinding[] => {
  const place = utf16Places(text);
  const findings: PiiFinding[] = [];
  if (!Array.isArray(answer)) throw new SyntaxError();
  for (const item of answer as readonly unknown[]) {
    const { entity_type: name, start, end, score } = Object(item) as Record<string, unknown>;
    const from = place(start);
    const to = place(end);
    if (typeof name !== "string" || typeof score !== "number") throw new SyntaxError();
    if (from === undefined || to === undefined || from > to) throw new SyntaxError();
    if (score >= scoreThreshold)
      findings.push({ name, category: "detected", start: from, end: to });
  }
  return findings.sort((a, b) => a.start - b.start || b.end - a.end);
};

/** Python counts characters, JavaScript UTF-16 units: after a character outside the first plane they differ. */
const utf16Places = (text: string): ((place: unknown) => number | undefined) => {
  const places: number[] = [];
  let next = 0;
  for (const character of text) {
    places.push(next);
    next += character.length;
  }
  places.push(next);
  return (place) => (typeof place === "number" ? places[place] : undefined);
};

const whyOf = (cause: unknown, timeoutMs: number): string => {
  if (cause instanceof DOMException && cause.name === "TimeoutError") {
    return `it did not answer within ${timeoutMs} ms`;
  }
  return cause instanceof SyntaxError ? "its answer cannot be read" : "it cannot be reached";
};

const failed = ({ origin }: URL, why: string, cause?: unknown): CryptoError => {
  const message = `The Presidio analyzer at ${origin} did not look at a text: ${why}`;
  return new CryptoError("ERR_UNAVAILABLE", message, {
    context: { hint: "Start it, or set interceptor.presidio.onFailure to patterns" },
    cause,
  });
};
