const ENTER = "\x1b[?1049h\x1b[H\x1b[2J";
const LEAVE = "\x1b[2J\x1b[?1049l";

/** Shows something on the terminal's second screen, so that it is not left in the lines that can be scrolled back to. */
export async function onOtherScreen<T>(show: () => Promise<T>): Promise<T> {
  const leave = (): void => void process.stderr.write(LEAVE);
  process.stderr.write(ENTER);
  process.on("exit", leave);
  try {
    return await show();
  } finally {
    process.off("exit", leave);
    leave();
  }
}
