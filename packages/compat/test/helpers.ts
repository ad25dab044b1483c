import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import { expect, onTestFinished } from "vitest";
import {
  type MadeSecret,
  makeOriginal,
  type OriginalDocument,
  type OriginalMakers,
  type OriginalWish,
} from "../../../tooling/services/original.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { type OpenOriginalOptions, type Original, openOriginal } from "../src/index.ts";

export const PASSPHRASE = `it's "quoted"; ünd länger`;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A folder of mode 0700 that goes with the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "lango-compat-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export const makers = (): OriginalMakers => ({
  seals: requireService("phone"),
  writes: requireService("sqlcipher"),
});

export const SECRETS: readonly MadeSecret[] = [
  { name: "openai/api-key", value: bytes("sk-the-key-of-openai") },
  { name: "empty", value: new Uint8Array() },
  { name: "with spaces & ünicode", value: bytes("välue") },
  { name: "binary", value: Uint8Array.from({ length: 256 }, (_, at) => at) },
  { name: "wallet.privatekey", value: new Uint8Array(32).fill(9) },
];

/** A database of the original in a folder of its own. */
export function make(wish: Partial<OriginalWish> = {}): {
  readonly file: string;
  readonly document: OriginalDocument;
} {
  const file = join(folder(), "lango.db");
  const all = { file, passphrase: PASSPHRASE, secrets: SECRETS, ...wish };
  return { file, document: makeOriginal(makers(), all) };
}

/** Opens it until the test ends. */
export async function open(
  file: string,
  options: Partial<OpenOriginalOptions> = {},
): Promise<Original> {
  const passphrase = bytes(PASSPHRASE);
  const original = await openOriginal({ file, passphrase, workFolder: folder(), ...options });
  onTestFinished(() => original.close());
  return original;
}

export const values = (original: Original): Record<string, string> =>
  Object.fromEntries(
    original.secrets.map(({ name }) => [name, Buffer.from(original.read(name)).toString("hex")]),
  );

export const valuesOf = (secrets: readonly MadeSecret[]): Record<string, string> =>
  Object.fromEntries(secrets.map(({ name, value }) => [name, Buffer.from(value).toString("hex")]));

/** What every file of a folder holds, and when it was changed. */
export const snapshot = (path: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(path).map((name) => {
      const file = join(path, name);
      const hash = createHash("sha256").update(readFileSync(file)).digest("hex");
      return [name, `${hash} ${statSync(file).mtimeMs}`];
    }),
  );

export async function fails(
  code: CryptoErrorCode,
  work: Promise<unknown>,
  message = /./,
): Promise<void> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(isCryptoError(error) ? error.code : error).toBe(code);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).not.toContain("\n");
}
