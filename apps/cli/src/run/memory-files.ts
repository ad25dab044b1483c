import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { fileError } from "@lango/envelope";

/** A folder whose files are in memory, on Linux. */
const MEMORY = "/dev/shm";
const PREFIX = "lango-run-";

/** The files of `--file`. */
export class SecretFiles {
  #folder: string | undefined;
  readonly #made: string[] = [];

  /** Whether the values, as far as there are any, are on no disk. */
  get isInMemory(): boolean {
    return this.#made.length === 0 || this.#folder !== undefined;
  }

  /**
   * Makes `path` a file with this value: a link to one in memory where there is memory for files, else a file of mode 0600.
   *
   * @throws CryptoError `ERR_CONFLICT` when there is something at `path`; the codes of `fileError`.
   */
  add(path: string, value: Uint8Array): void {
    if (this.#made.length === 0) {
      removeLeftovers();
      this.#folder = makeFolder();
    }
    try {
      // What a lango that was killed has left there; its values are gone already.
      if (isDeadLink(path)) unlinkSync(path);
      if (this.#folder === undefined) {
        writeNew(path, value);
      } else {
        const file = join(this.#folder, `${this.#made.length}-${basename(path)}`);
        writeNew(file, value);
        symlinkSync(file, path);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") {
        throw new CryptoError("ERR_CONFLICT", `There is a file at ${path} already`, {
          context: { hint: "It is not overwritten: name another path, or remove it" },
        });
      }
      if ((error as NodeJS.ErrnoException).code === "ENOENT") {
        const missing = `there is no folder ${dirname(resolve(path))}`;
        throw new CryptoError("ERR_NOT_FOUND", `Cannot write ${path}: ${missing}`, {
          cause: error,
        });
      }
      throw fileError("write", path, error);
    }
    this.#made.push(path);
  }

  [Symbol.dispose](): void {
    // First, as nothing that the command did elsewhere can keep it.
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    for (const path of this.#made.splice(0)) {
      // A folder is the command's: ours was a link or a file.
      if (!isFolder(path)) rmSync(path, { force: true });
    }
  }
}

function writeNew(path: string, value: Uint8Array): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    for (let at = 0; at < value.length; ) at += writeSync(fd, value, at);
  } finally {
    closeSync(fd);
  }
}

/** Named after this process, so that another lango can tell when nobody needs it. */
function makeFolder(): string | undefined {
  const folder = join(MEMORY, `${PREFIX}${process.pid}-${randomBytes(8).toString("hex")}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
    return folder;
  } catch {
    return undefined;
  }
}

/** Removes what a lango of this user has left that was killed. */
function removeLeftovers(): void {
  let names: string[] = [];
  try {
    names = readdirSync(MEMORY).filter((name) => name.startsWith(PREFIX));
  } catch {}
  for (const name of names) {
    const folder = join(MEMORY, name);
    try {
      if (lstatSync(folder).uid === process.getuid?.() && !isAlive(pidOf(name))) {
        rmSync(folder, { recursive: true, force: true });
      }
    } catch {}
  }
}

const isFolder = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Whether a path is a link to a file of a lango that is no more. */
function isDeadLink(path: string): boolean {
  try {
    const target = readlinkSync(path);
    const name = target.slice(MEMORY.length + 1).split("/")[0]!;
    return target.startsWith(join(MEMORY, PREFIX)) && !isAlive(pidOf(name));
  } catch {
    return false;
  }
}

const pidOf = (name: string): number => Number.parseInt(name.slice(PREFIX.length), 10);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
