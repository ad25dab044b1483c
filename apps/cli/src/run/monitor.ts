/**
 * The first process on the pseudo-terminal of a command: a POSIX shell (POSIX.1-2024, sh, `set -m`), which is what Node has
 * no calls for. It gives the command a process group of its own and the terminal, and sees when it is stopped by Ctrl-Z.
 *
 * The first line that comes out is the number of the command's process. The words of the command are arguments; the shell
 * never reads them as code. When the command stops, the shell stops its parent, which is lango, and itself; continued, it
 * continues the command. It ends with the command's status. What it would say itself goes nowhere: descriptor 3 is the
 * terminal.
 */
export const MONITOR = `exec 3>&2 2>/dev/null
set -m
sh -c 'echo "$$"; exec "$@"' lango "$@" 2>&3 3>&-
status=$?
while jobs %% >/dev/null; do
  kill -TSTP "$PPID"
  kill -STOP "$$"
  fg %% >/dev/null 2>&3
  status=$?
done
exit "$status"`;

/** Takes the number of the process from the beginning of an output. `undefined` until the line is there. */
export function takeNumber(
  output: Uint8Array,
): { readonly pid: number; readonly rest: Uint8Array } | undefined {
  const end = output.indexOf(0x0a);
  if (end < 0) return undefined;
  const pid = Number.parseInt(Buffer.from(output.subarray(0, end)).toString("latin1"), 10);
  return { pid, rest: output.subarray(end + 1) };
}
