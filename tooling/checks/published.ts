import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { packageFolders } from "../setup/build.mjs";
import { root } from "../setup/step.mjs";

/** A package that goes to the registry. */
export interface PublishedPackage {
  readonly name: string;
  readonly folder: string;
  /** Whether it is imported, and so has types to check; an app has none. */
  readonly isLibrary: boolean;
}

/** Every package of the workspace that is not private. */
export function publishedPackages(): PublishedPackage[] {
  return packageFolders().flatMap((folder) => {
    const manifest = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8"));
    if (manifest.private) return [];
    return [{ name: manifest.name, folder, isLibrary: manifest.exports?.["."] !== undefined }];
  });
}

/** Packs a built package as it would be published; the path of the tarball. */
export function pack(folder: string, destination: string): string {
  const args = ["pack", "--json", "--pack-destination", destination];
  const output = execFileSync("pnpm", args, { cwd: path.resolve(root, folder), encoding: "utf8" });
  return JSON.parse(output).filename;
}
