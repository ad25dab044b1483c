import type { Arguments } from "./arguments.ts";
import { isTerminal } from "./color.ts";
import type { Context } from "./context.ts";
import { writeAll } from "./output.ts";

/** How far long work is. */
export interface Progress {
  /** Of `total` steps, `done` are done; both may change at any time. */
  update(done: number, total: number): void;
  /** Ends the line of the bar. Idempotent. */
  end(): void;
}

/** Where progress is drawn, and by which clock in milliseconds. */
export interface ProgressOutput {
  readonly form: "bar" | "json" | "none";
  readonly write: (text: string) => void;
  readonly now: () => number;
}

const BAR_CELLS = 24;
/** A bar that is drawn more often flickers, and a log of lines more often than once a second is not read. */
const DRAW_EVERY_MS = { bar: 100, json: 1000 } as const;

/**
 * Shows progress on stderr: a bar with the time that is left on a terminal, a line of JSON now and then with
 * `--progress=json`, nothing with `--quiet` or where stderr is neither.
 *
 * @param args - Of a command with the options of `PROGRESS_OPTIONS`.
 * @param label - What is done, e.g. `re-sealing`.
 */
export const createProgress = (context: Context, args: Arguments, label: string): Progress =>
  drawProgress(label, {
    form: formOf(context, args),
    write: (text) => {
      try {
        writeAll(2, text);
      } catch {
        // A stderr that is gone is no reason to stop the work.
      }
    },
    now: () => performance.now(),
  });

const formOf = (context: Context, args: Arguments): ProgressOutput["form"] => {
  if (args.string("progress") === "json") return "json";
  return !context.silent && isTerminal(2) ? "bar" : "none";
};

/** {@link createProgress} on any output. */
export function drawProgress(label: string, { form, write, now }: ProgressOutput): Progress {
  const startedAt = now();
  let first: number | undefined;
  let drawnAt = Number.NEGATIVE_INFINITY;
  let ended = form === "none";
  return {
    update(done, total) {
      if (ended || form === "none") return;
      // Work that is resumed begins in the middle: only what was done since tells how fast it goes.
      first ??= done;
      const at = now();
      if (at - drawnAt < DRAW_EVERY_MS[form] && done < total) return;
      drawnAt = at;
      const left = secondsLeft(at - startedAt, done - first, total - done);
      write(
        form === "json"
          ? `${JSON.stringify({ progress: label, done, total, secondsLeft: left ?? null })}\n`
          : `\r\u001b[K${bar(label, done, total, left)}`,
      );
    },
    end() {
      if (!ended && form === "bar" && first !== undefined) write("\n");
      ended = true;
    },
  };
}

const secondsLeft = (elapsedMs: number, done: number, left: number): number | undefined =>
  done > 0 ? Math.ceil(((elapsedMs / done) * left) / 1000) : undefined;

const bar = (label: string, done: number, total: number, left: number | undefined): string => {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const full = Math.floor(share * BAR_CELLS);
  const cells = "#".repeat(full) + "-".repeat(BAR_CELLS - full);
  const eta = left === undefined ? "" : `, ${duration(left)} left`;
  return `${label} [${cells}] ${Math.floor(share * 100)} %, ${done} of ${total}${eta}`;
};

const duration = (seconds: number): string => {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};
