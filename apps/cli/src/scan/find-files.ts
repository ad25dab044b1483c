import { lstat, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileError } from "@lango/envelope";

/**
 * Every file that is meant by the paths, folders with all that is below them. Links below a folder are not followed, and
 * what is no regular file is passed over; a path that was named is followed, and an error if it is not there.
 */
export async function* findFiles(paths: readonly string[]): AsyncGenerator<string> {
  for (const path of paths) {
    const info = await stat(path).catch((error) => {
      throw fileError("read", path, error);
    });
    if (info.isDirectory()) yield* below(path);
    else yield path;
  }
}

async function* below(folder: string): AsyncGenerator<string> {
  const names = await readdir(folder).catch((error) => {
    throw fileError("read", folder, error);
  });
  for (const name of names.sort()) {
    const path = join(folder, name);
    const info = await lstat(path).catch(() => undefined);
    if (info?.isDirectory()) yield* below(path);
    else if (info?.isFile()) yield path;
  }
}
