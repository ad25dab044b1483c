import { isTerminal } from "@lango/unlock";

export { isTerminal };

const STYLES = { bold: 1, red: 31, green: 32, yellow: 33 } as const;

/** Marks text that goes to a file descriptor, where that shows colours. */
export type Paint = (fd: 1 | 2, style: keyof typeof STYLES, text: string) => string;

/**
 * Decides about colours: `--color` first, then `NO_COLOR`, then `FORCE_COLOR`, then whether it is a terminal.
 *
 * @param when - `auto`, `always` or `never`.
 */
export const createPaint =
  (when: string | undefined, env: Readonly<Record<string, string | undefined>>): Paint =>
  (fd, style, text) =>
    showsColor(fd, when, env) ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;

function showsColor(
  fd: number,
  when: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if (when === "always" || when === "never") {
    return when === "always";
  }
  if (env["NO_COLOR"]) {
    return false;
  }
  const forced = env["FORCE_COLOR"];
  if (forced !== undefined) {
    return forced !== "0" && forced !== "false";
  }
  return env["TERM"] !== "dumb" && isTerminal(fd);
}
