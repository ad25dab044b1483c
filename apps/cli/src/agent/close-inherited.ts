import { closeSync, fstatSync, readdirSync, type Stats } from "node:fs";
import { isatty } from "node:tty";

/** Standard input and output lead to the command that waits for an answer, and the third is /dev/null. */
const FIRST = 3;

/**
 * Closes what a shell or a program left open for the command that started this process: a terminal would not end, a pipe
 * would never come to its end for its reader. What Node opened for itself stays: pipes of which both ends are here, and devices.
 */
export function closeInherited(): void {
  const open = openDescriptors();
  const ends = (ino: number): number => open.filter(({ stat }) => stat.ino === ino).length;
  for (const { fd, stat } of open) {
    const isOurs = stat.isFIFO() && ends(stat.ino) > 1;
    const isLeft = stat.isFile() || stat.isDirectory() || stat.isSocket() || stat.isFIFO();
    if (isatty(fd) || (isLeft && !isOurs)) closeSync(fd);
  }
}

function openDescriptors(): { readonly fd: number; readonly stat: Stats }[] {
  const folder = process.platform === "linux" ? "/proc/self/fd" : "/dev/fd";
  return readdirSync(folder)
    .map(Number)
    .filter((fd) => fd >= FIRST)
    .flatMap((fd) => {
      try {
        return [{ fd, stat: fstatSync(fd) }];
      } catch {
        // The folder that was just read.
        return [];
      }
    });
}
