import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { utf8 } from "@lango/crypto-core";
import { openVault } from "@lango/vault";
import { afterAll, expect, onTestFinished } from "vitest";

export const PASSPHRASE = "correct horse battery staple";
export const SECRET = "sk-proj-Zm9v-7f3a91c2e5";

const program = (path: string): readonly string[] => [
  "--conditions=@lango/source",
  fileURLToPath(new URL(path, import.meta.url)),
];
/** lango as it is published, built by global-setup.ts; the providers that it finds at run time are their sources. */
export const LANGO: readonly string[] = program("../dist/lango.js");
/** lango from its sources, which takes three times as long to start, where their names matter. */
export const SOURCES: readonly string[] = program("../src/lango.ts");
/** The same as words of a shell; the checkout's path may have a space. */
export const LANGO_IN_SHELL: string = [process.execPath, ...LANGO]
  .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
  .join(" ");

/** A folder for the tests of one file. */
const scratch = mkdtempSync(join(tmpdir(), "lango-cli-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

export interface RunOptions {
  readonly home?: string;
  /** Beside the few variables that every run has. `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Standard input; empty when absent. */
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  /** What to run instead of {@link LANGO}. */
  readonly program?: readonly string[];
}

/** The environment of a run: nothing of the machine's own but PATH. */
export function environment(
  home: string | undefined,
  env: RunOptions["env"] = {},
): Record<string, string> {
  const all = {
    PATH: process.env["PATH"],
    HOME: scratch,
    XDG_CACHE_HOME: join(tmpdir(), `lango-test-cache-${process.getuid?.()}`),
    ...(home === undefined ? {} : { LANGO_HOME: home, LANGO_PASSPHRASE: PASSPHRASE }),
    ...env,
  };
  // Left out and not undefined: a pseudo-terminal would pass that on as a word.
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Runs lango to its end. */
export function lango(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { home, env, input = "", cwd, program = LANGO } = options;
  const child = spawn(process.execPath, [...program, ...args], {
    env: environment(home, env),
    cwd,
    stdio: "pipe",
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk) => out.push(chunk));
  child.stderr.on("data", (chunk) => err.push(chunk));
  // A command that reads no input may be gone before it is written.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const bytes = Buffer.concat(out);
      const stderr = Buffer.concat(err).toString();
      resolve({ code, signal, stdout: bytes.toString(), stderr, bytes });
    });
  });
}

/** Runs lango with `--json` and returns the one document, after checking that there is exactly one. */
export async function langoJson(
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran & { document: Document }> {
  const ran = await lango(["--json", ...args], options);
  expect(ran.stdout.endsWith("\n"), ran.stdout + ran.stderr).toBe(true);
  const document = JSON.parse(ran.stdout) as Document;
  expect(document.schemaVersion).toBe(1);
  return { ...ran, document };
}

export interface Document {
  readonly schemaVersion: number;
  readonly ok: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own
  readonly data?: any;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** A folder of its own for a test. */
export function folder(): string {
  const path = mkdtempSync(join(scratch, "t-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

let template: Promise<string> | undefined;

/** The vault that {@link vaultHome} copies, for tests that change nothing in it. */
export const sharedVaultHome = (): Promise<string> => (template ??= makeVault());

/** A home with a vault that holds the secret `api/key`; a copy of one that is made once for a test file. */
export async function vaultHome(): Promise<string> {
  const home = join(folder(), "home");
  cpSync(await sharedVaultHome(), home, { recursive: true });
  chmodSync(home, 0o700);
  return home;
}

async function makeVault(): Promise<string> {
  const home = join(scratch, "template");
  // Weak on purpose: the tests unlock hundreds of times.
  const made = await lango(["onboard", "--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"], {
    home,
  });
  expect(made.code, made.stderr).toBe(0);
  const set = await lango(["security", "secrets", "set", "api/key"], { home, input: SECRET });
  expect(set.code, set.stderr).toBe(0);
  return home;
}

/** Writes a file into a folder of its own and returns its path. */
export function fileWith(content: string | Uint8Array, name = "file"): string {
  const path = join(folder(), name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

/** The name, mode-independent content hash of every file below a folder. */
export function snapshot(path: string): Record<string, string> {
  const names = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    names.map((name) => [name, createHash("sha256").update(readFileSync(name)).digest("hex")]),
  );
}

/** One line and, where there is a way out, its hint: nothing that looks like a stack. */
export function expectOneFault(ran: Ran, code: number, line: RegExp): void {
  expect(ran.code, ran.stdout + ran.stderr).toBe(code);
  const lines = ran.stderr.trimEnd().split("\n");
  const faults = lines.filter((text) => text.startsWith("lango: "));
  expect(faults, ran.stderr).toHaveLength(1);
  expect(faults[0]).toMatch(line);
  expect(ran.stderr).not.toMatch(/^\s+at /m);
  expect(ran.stdout).toBe("");
}

/** Adds secrets past the program, which takes half a second for each. */
export const addSecrets = async (home: string, count: number): Promise<void> => {
  await using vault = await openVault({
    home,
    unlock: async (slots) => ({
      credential: {
        kind: "passphrase",
        source: "test",
        secret: utf8(PASSPHRASE),
        ambient: false,
        slotIds: slots.map(({ id }) => id),
      },
      skipped: [],
    }),
  });
  for (let i = 0; i < count; i += 1) await vault.secrets.set(`s/${i}`, utf8(`value ${i}`));
};
