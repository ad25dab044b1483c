import { closeSync, fsyncSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeAll } from "./output.ts";

/** As large as a small change of the database. */
const PROBE_BYTES = 256 * 1024;

const REASONS: Readonly<Record<string, string>> = {
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota of the disk is used up",
  EACCES: "it may not be written",
  EPERM: "it may not be written",
};

/** Makes a file in a folder and takes it away again. Returns why that fails, or nothing. */
export function whyNoNewFile(folder: string): string | undefined {
  const path = join(folder, `.doctor-${process.pid}`);
  let fd: number | undefined;
  try {
    fd = openSync(path, "wx", 0o600);
    writeAll(fd, new Uint8Array(PROBE_BYTES));
    fsyncSync(fd);
    return undefined;
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    return REASONS[code] ?? code;
  } finally {
    if (fd !== undefined) {
      closeSync(fd);
      rmSync(path, { force: true });
    }
  }
}
