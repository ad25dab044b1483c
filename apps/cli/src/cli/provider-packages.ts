import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The providers that are packages of their own. */
export const PROVIDER_NAMES = ["rpc", "aws-kms", "gcp-kms", "azure-kv", "pkcs11"] as const;

/** The package of a provider as the settings name it; `undefined` for what is no such name, and shall be part of no path. */
export const packageOf = (name: string): string | undefined =>
  PROVIDER_NAMES.some((known) => known === name)
    ? `@lango/crypto-${name}`
    : SCOPED.test(name)
      ? name
      : undefined;

const SCOPED = /^@[a-z0-9][a-z0-9._-]*\/[a-z0-9][a-z0-9._-]*$/;

/** Where `lango` looks for packages that it does not bring along, besides its own surroundings. */
const providersFolder = (home: string): string => join(home, "providers");

/** The command that installs a package where every lango of this home finds it, however lango itself was installed. */
export const installCommand = (packageName: string, home: string): string =>
  `npm install --prefix ${quoted(providersFolder(home))} ${packageName}`;

const quoted = (path: string): string =>
  /^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;

/**
 * The version of a package, or `undefined` if it is not installed. Looks beside the program, then in the home; never into
 * the working directory or into what `NODE_PATH` names, which somebody else may have written. Nothing of it is run.
 */
export function installedVersion(packageName: string, home: string): string | undefined {
  const manifest = findManifest(packageName, home);
  if (manifest === undefined) {
    return undefined;
  }
  const { version }: { version?: string } = JSON.parse(readFileSync(manifest, "utf8"));
  return version ?? "unknown";
}

/** The import that `loadProvider` is given: beside the program, then in the home. */
export async function importProvider(packageName: string, home: string): Promise<unknown> {
  const manifest = findManifest(packageName, home);
  if (manifest === undefined) {
    // Fails, with the error that says so.
    return import(packageName);
  }
  const resolved = createRequire(manifest).resolve(packageName);
  return import(pathToFileURL(resolved).href);
}

function findManifest(packageName: string, home: string): string | undefined {
  const inHome = join(providersFolder(home), "node_modules", packageName, "package.json");
  return besideProgram(packageName) ?? (existsSync(inHome) ? inHome : undefined);
}

function besideProgram(packageName: string): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = join(folder, "node_modules", packageName, "package.json");
    if (existsSync(manifest)) {
      return manifest;
    }
    const parent = dirname(folder);
    if (parent === folder) {
      return undefined;
    }
    folder = parent;
  }
}
