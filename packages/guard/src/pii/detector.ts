import type { PiiFinding } from "./redactor.ts";
import { REPLACEMENT, replaceFindings } from "./replace.ts";

/** Looks for personal data where that takes a while: a service that knows names and places, which no pattern does. */
export interface PiiDetector {
  /**
   * Where personal data stands, in order; places count UTF-16 units and may overlap.
   *
   * @throws What makes that the text cannot be given out, e.g. `ERR_UNAVAILABLE` when the service does not answer.
   */
  find(text: string, signal?: AbortSignal): Promise<readonly PiiFinding[]>;
}

/** Texts of one value go together, a line each: a call per text would take too long. */
const MAX_JOINED = 20_000;

/** What each text is with the detector's findings replaced. */
export const detectIn = async (
  detector: PiiDetector,
  texts: Iterable<string>,
  signal: AbortSignal | undefined,
): Promise<Map<string, string>> => {
  const redacted = new Map<string, string>();
  let batch: string[] = [];
  let length = 0;
  const flush = async (): Promise<void> => {
    const findings = await ask(detector, batch.join("\n"), signal);
    let start = 0;
    for (const text of batch) {
      const end = start + text.length;
      const own = findings
        .filter((finding) => finding.start < end && finding.end > start)
        .map((finding) => ({
          start: Math.max(finding.start, start) - start,
          end: Math.min(finding.end, end) - start,
        }));
      redacted.set(text, replaceFindings(text, own, REPLACEMENT));
      start = end + 1;
    }
    batch = [];
    length = 0;
  };
  for (const text of texts) {
    if (batch.length > 0 && length + text.length > MAX_JOINED) await flush();
    batch.push(text);
    length += text.length + 1;
  }
  if (batch.length > 0) await flush();
  return redacted;
};

/** Of detectors that failed: such an error has no text of a tool in it, and there is nothing that could look at it. */
const failures = new WeakSet<WeakKey>();
export const isDetectorFailure = (error: unknown): boolean =>
  error instanceof Error && failures.has(error);

const ask = async (
  detector: PiiDetector,
  text: string,
  signal: AbortSignal | undefined,
): Promise<readonly PiiFinding[]> => {
  try {
    return await detector.find(text, signal);
  } catch (error) {
    if (error instanceof Error) failures.add(error);
    throw error;
  }
};
