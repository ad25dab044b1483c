import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { root } from "../setup/step.mjs";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** A version of a package, and how to get its tarball. */
interface Entry {
  readonly manifest: Manifest;
  readonly tarball: () => Buffer;
}

/** An npm registry on this machine. */
export interface Registry {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Serves packages of this workspace as they would be published, and what they need from node_modules: so that tests
 * install with the real npm and pnpm, by the commands that users are told, and need no network.
 *
 * @param packed - Each with its tarball and its folder in the workspace.
 */
export async function startRegistry(
  packed: readonly { readonly tarball: string; readonly folder: string }[],
): Promise<Registry> {
  const entries = new Map<string, Entry>();
  for (const { tarball, folder } of packed) {
    const manifest = readManifestIn(tarball);
    entries.set(idOf(manifest), { manifest, tarball: () => readFileSync(tarball) });
    addDependencies(entries, realpathSync(path.join(root, folder)), manifest);
  }
  const files = new Map<string, Buffer>();
  const fileOf = (id: string, entry: Entry): Buffer => {
    const file = files.get(id) ?? entry.tarball();
    files.set(id, file);
    return file;
  };
  const server = createServer((request, response) => {
    const [, name = "", id] =
      decodeURIComponent(request.url ?? "").match(/^\/([^?]+?)(?:\/-\/(.+)\.tgz)?$/) ?? [];
    const found = [...entries].filter(
      ([each, { manifest }]) => (id ?? each) === each && manifest.name === name,
    );
    const [first] = found;
    if (first === undefined) {
      response.writeHead(404).end("{}");
    } else if (id !== undefined) {
      response.end(fileOf(...first));
    } else {
      response.end(
        JSON.stringify(
          documentOf(
            name,
            found.map(([each, entry]) => ({ entry, id: each, file: fileOf(each, entry) })),
            url,
          ),
        ),
      );
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  return {
    url,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

const idOf = ({ name, version }: Manifest): string => `${name}@${version}`;

function readManifestIn(tarball: string): Manifest {
  const { stdout } = spawnSync("tar", ["-xzOf", tarball, "package/package.json"]);
  return JSON.parse(stdout.toString("utf8"));
}

/** What is found where Node would look for it; what an optional one lacks on this system is not there. */
function addDependencies(entries: Map<string, Entry>, folder: string, manifest: Manifest): void {
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
    const found = findFrom(folder, name);
    if (found === undefined || found.startsWith(path.join(root, "packages"))) continue;
    const next: Manifest = JSON.parse(readFileSync(path.join(found, "package.json"), "utf8"));
    if (entries.has(idOf(next))) continue;
    entries.set(idOf(next), { manifest: next, tarball: () => tarballOf(found) });
    addDependencies(entries, found, next);
  }
}

function findFrom(folder: string, name: string): string | undefined {
  for (let at = folder; at !== path.dirname(at); at = path.dirname(at)) {
    const candidate = path.join(at, "node_modules", name);
    if (existsSync(candidate)) return realpathSync(candidate);
  }
  return undefined;
}

/**
 * With what was compiled in it: nothing is compiled by these tests. From a copy, because pnpm links equal files to one
 * another: tar would write links, which npm does not unpack.
 */
function tarballOf(folder: string): Buffer {
  const temporary = mkdtempSync(path.join(tmpdir(), "lango-registry-"));
  try {
    const isWanted = (file: string): boolean => path.basename(file) !== "node_modules";
    cpSync(folder, path.join(temporary, "package"), { recursive: true, filter: isWanted });
    const args = ["-cf", "-", "-C", temporary, "package"];
    const { status, stdout } = spawnSync("tar", args, { maxBuffer: 2 ** 28 });
    if (status !== 0) throw new Error(`tar cannot pack ${folder}`);
    return gzipSync(stdout, { level: 1 });
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

/** What a registry says of a package. */
const documentOf = (
  name: string,
  versions: readonly { entry: Entry; id: string; file: Buffer }[],
  url: string,
): object => ({
  name,
  "dist-tags": { latest: versions.at(-1)?.entry.manifest.version },
  time: Object.fromEntries(
    versions.map(({ entry }) => [entry.manifest.version, "2026-01-01T00:00:00.000Z"]),
  ),
  versions: Object.fromEntries(
    versions.map(({ entry: { manifest }, id, file }) => [
      manifest.version,
      {
        ...manifest,
        dist: {
          tarball: `${url}/${name}/-/${encodeURIComponent(id)}.tgz`,
          integrity: `sha512-${createHash("sha512").update(file).digest("base64")}`,
        },
      },
    ]),
  ),
});
