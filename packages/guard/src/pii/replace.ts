/** What stands where personal data was. */
export const REPLACEMENT = "[REDACTED]";

/** The text with a replacement for each place, which come in order; places that overlap have one. */
export const replaceFindings = (
  text: string,
  findings: readonly { readonly start: number; readonly end: number }[],
  replacement: string,
): string => {
  let output = "";
  let done = 0;
  for (const { start, end } of findings) {
    if (start >= done) output += text.slice(done, start) + replacement;
    done = Math.max(done, end);
  }
  return output + text.slice(done);
};
