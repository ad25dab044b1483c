import { existsSync, readlinkSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Context } from "./context.ts";

/** Ends a restore that was killed between setting the old home aside and putting the new one in its place. */
export async function endRestore(context: Context): Promise<void> {
  if (existsSync(context.home)) {
    return;
  }
  const home = behindLink(context.home);
  if (!existsSync(`${home}.restoring/ready`)) {
    return;
  }
  const { finishRestore } = await import("./backup.ts");
  const finished = await finishRestore(home);
  if (finished !== undefined) {
    context.note(`Ended the restore that was interrupted; the old home is ${finished.aside}`);
  }
}

/** A link stays when the folder it leads to is renamed. */
function behindLink(path: string): string {
  try {
    return resolve(dirname(path), readlinkSync(path));
  } catch {
    return path;
  }
}
