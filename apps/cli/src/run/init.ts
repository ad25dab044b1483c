/**
 * The first process of a container: a POSIX shell, which Node cannot be, for it does not know the processes that are left
 * to the first one when their parent ends. The shell reaps them, passes signals on and ends with lango's status.
 */
const INIT = `trap 'kill -TERM "$child"' TERM
trap 'kill -HUP "$child"' HUP
trap 'kill -INT "$child"' INT
trap 'kill -QUIT "$child"' QUIT
trap 'kill -USR1 "$child"' USR1
trap 'kill -USR2 "$child"' USR2
"$@" <&0 &
child=$!
while :; do
  wait "$child"
  status=$?
  kill -0 "$child" 2>/dev/null || exit "$status"
done`;

/** As the first process of a container: becomes the shell above, which runs this command line again. Else does nothing. */
export function becomeInit(): void {
  if (process.pid !== 1) return;
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  try {
    process.execve?.("/bin/sh", ["sh", "-c", INIT, "lango", ...words], process.env);
  } catch {
    // No shell in this container: then nobody reaps.
  }
}
