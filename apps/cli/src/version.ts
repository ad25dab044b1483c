import { readFileSync } from "node:fs";

/** The version of this lango, from the package.json one folder above it: the same place from `src` and from `dist`. */
export function readVersion(): string {
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  return manifest.version;
}
