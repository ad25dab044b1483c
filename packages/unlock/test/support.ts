import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { isCryptoError, utf8 } from "@lango/crypto-core";
import { onTestFinished } from "vitest";
import type { SlotInfo, SlotKind, UnlockOptions } from "../src/index.ts";

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "lango-unlock-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const slots = (...kinds: SlotKind[]): SlotInfo[] =>
  kinds.map((kind, index) => ({
    id: `slot-${index}`,
    kind,
    ...(kind === "provider" ? { uri: "pkcs11:one" } : {}),
  }));

/** A key that no test writes anywhere else. */
export const KEY_HEX = "9f8e7d6c5b4a39281706f5e4d3c2b1a0ff00112233445566778899aabbccddee";
export const keyBytes = (): Uint8Array => new Uint8Array(Buffer.from(KEY_HEX, "hex"));
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** Options under which no source outside the test gives anything. */
export const options = (home: string, more: Partial<UnlockOptions> = {}): UnlockOptions => ({
  home,
  env: {},
  stdinFree: false,
  containerSecrets: join(home, "run-secrets"),
  ...more,
});

/** The code, message and hint of what a promise rejects with. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; hint: string }> {
  try {
    await promise;
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return { code: error.code, message: error.message, hint: error.context.hint ?? "" };
  }
  throw new Error("it did not fail");
}

export interface ChildResult {
  readonly source?: string;
  readonly secretHex?: string;
  readonly skipped?: readonly { source: string; reason: string }[];
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
  /** Whether descriptor 0 was still open after reading. */
  readonly stdinOpen?: boolean;
}

/** What a descriptor of the child is: the number of one of ours, nothing, or a pipe with this text, left open on demand. */
export type ChildInput = number | "ignore" | { readonly pipe: string; readonly keepOpen?: boolean };

/** The command line of the child: a program and its arguments. */
export const childCommand = (
  given: Partial<UnlockOptions>,
  kinds: readonly SlotKind[] = ["passphrase", "env"],
): string[] => [
  process.execPath,
  "--conditions=@lango/source",
  fileURLToPath(new URL("obtain-child.ts", import.meta.url)),
  JSON.stringify({ options: options(temporaryFolder(), given), slots: slots(...kinds) }),
];

/** Runs the child from a shell, where `"$@"` is its command line: the shell makes real pipes, Node makes sockets. */
export function obtainInShell(script: string, given: Partial<UnlockOptions>): ChildResult {
  return JSON.parse(execFileSync("sh", ["-c", script, "sh", ...childCommand(given)]).toString());
}

/** Runs `obtain` in a process of its own, with real descriptors: `inputs[0]` is standard input, `inputs[1]` descriptor 3. */
export async function obtainInChild(
  given: Partial<UnlockOptions>,
  inputs: readonly ChildInput[],
  kinds?: readonly SlotKind[],
): Promise<ChildResult> {
  const [stdin = "ignore", ...more] = inputs.map((input) =>
    typeof input === "object" ? ("pipe" as const) : input,
  );
  const [program = "", ...parameters] = childCommand(given, kinds);
  const child = spawn(program, parameters, { stdio: [stdin, "pipe", "inherit", ...more] });
  onTestFinished(() => void child.kill("SIGKILL"));
  inputs.forEach((input, index) => {
    if (typeof input !== "object") return;
    const pipe = child.stdio[index === 0 ? 0 : index + 2] as NodeJS.WritableStream;
    // The child may refuse the input and be gone before all is written.
    pipe.on("error", () => {});
    pipe.write(utf8(input.pipe));
    if (input.keepOpen !== true) pipe.end();
  });
  const output: Buffer[] = [];
  for await (const chunk of child.stdout as Readable) output.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(output).toString()) as ChildResult;
}
