import { closeSync, fsyncSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeAll } from "./output.ts";

/** As large as a small change of the database. */
const PROBE_BYTES = 256 * 1024;

/** Why no file can be made, and what to do about it. */
interface Refusal {
  readonly reason: string;
  readonly hint?: string;
}

const SPACE = "Free some space: until then nothing can be stored, and most commands stop";

const REASONS: Readonly<Record<string, Refusal>> = {
  EROFS: { reason: "the file system is read-only", hint: "Mount it so that it can be written" },
  ENOSPC: { reason: "the disk is full", hint: SPACE },
  EDQUOT: { reason: "the quota of the disk is used up", hint: SPACE },
  EFBIG: { reason: "files may not become that large here", hint: "Raise the limit: ulimit -f" },
  EACCES: { reason: "it may not be written" },
  EPERM: { reason: "it may not be written" },
};

/** Makes a file in a folder and takes it away again. Returns why that fails, or nothing. */
export function whyNoNewFile(folder: string): Refusal | undefined {
  const path = join(folder, `.doctor-${process.pid}`);
  let fd: number | undefined;
  try {
    fd = openSync(path, "wx", 0o600);
    writeAll(fd, new Uint8Array(PROBE_BYTES));
    fsyncSync(fd);
    return undefined;
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    return REASONS[code] ?? { reason: code };
  } finally {
    if (fd !== undefined) {
      closeSync(fd);
      rmSync(path, { force: true });
    }
  }
}
