import { fstatSync } from "node:fs";
import { type Arguments, usageError } from "./arguments.ts";
import type { CommandRow } from "./command.ts";
import { commandOptions } from "./options.ts";

/**
 * Refuses descriptors that cannot be what was meant, before lango opens a file of its own. A descriptor that is not open
 * yet, or that a first reader has closed, would become the next file that lango opens: its own database would be read as
 * a passphrase.
 *
 * @throws CryptoError `ERR_INVALID_ARGUMENT` for one that is named twice or is not open.
 */
export function checkDescriptors(command: CommandRow, args: Arguments): void {
  const users = new Map<number, string>();
  for (const [fd, option] of namedDescriptors(command, args)) {
    const other = users.get(fd);
    if (other !== undefined) {
      throw usageError(
        `${other} and ${option} name the same file descriptor ${fd}`,
        "A descriptor can be read once: give each its own",
      );
    }
    users.set(fd, option);
    if (!isOpen(fd)) {
      throw usageError(
        `${option}: file descriptor ${fd} is not open`,
        `Open it for the command, as in: lango … ${fd}< FILE`,
      );
    }
  }
}

function* namedDescriptors(
  command: CommandRow,
  args: Arguments,
): Generator<[fd: number, option: string]> {
  for (const [name, { type }] of Object.entries(commandOptions(command))) {
    if (name === "passphrase-stdin" && args.flag(name)) {
      yield [0, `--${name}`];
    } else if (type === "string") {
      for (const value of args.strings(name)) {
        const fd = name.endsWith("-fd") ? args.number(name, 0) : descriptorOf(value);
        if (fd !== undefined) yield [fd, name.endsWith("-fd") ? `--${name} ${fd}` : `--${name}`];
      }
    }
  }
}

/** The descriptor that a path names, as the shell's `<(…)` does. */
function descriptorOf(path: string): number | undefined {
  if (path === "/dev/stdin") return 0;
  const digits = /^\/(?:dev|proc\/self)\/fd\/(\d{1,9})$/.exec(path)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
