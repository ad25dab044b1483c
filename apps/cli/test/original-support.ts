import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openVault } from "@lango/vault";
import { expect } from "vitest";
import {
  type MadeSecret,
  makeOriginal,
  type OriginalMakers,
  type OriginalWish,
} from "../../../tooling/services/original.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { fileWith, folder, lango, langoJson, type Ran } from "./support.ts";

export const OLD = `it's "quoted"; and long`;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const SECRETS: readonly MadeSecret[] = [
  { name: "openai/api-key", value: bytes("sk-original-7e1f0c") },
  { name: "telegram/bot-token", value: bytes("bot-original-992ac1") },
  { name: "with a space", value: bytes("spaced-original-51b0") },
  { name: "wallet.privatekey", value: bytes("0123456789abcdef-original-wallet") },
  { name: "in-the-log", value: bytes("logged-original-d00d") },
];
/** As they are called in the vault. */
export const VALUES: Readonly<Record<string, string>> = {
  "openai/api-key": "sk-original-7e1f0c",
  "telegram/bot-token": "bot-original-992ac1",
  with_a_space: "spaced-original-51b0",
  "wallet/privatekey": "0123456789abcdef-original-wallet",
  "in-the-log": "logged-original-d00d",
};

export const makers = (): OriginalMakers => ({
  seals: requireService("phone"),
  writes: requireService("sqlcipher"),
});

/** A home as the original leaves it. */
export function originalHome(wish: Partial<OriginalWish> = {}): string {
  const home = join(folder(), "home");
  mkdirSync(home, { mode: 0o700 });
  const file = join(home, "lango.db");
  makeOriginal(makers(), { file, passphrase: OLD, secrets: SECRETS, ...wish });
  return home;
}

/** A copy of a home, for a test of its own. */
export function copyOf(home: string): string {
  const copy = join(folder(), "home");
  cpSync(home, copy, { recursive: true, preserveTimestamps: true });
  chmodSync(copy, 0o700);
  return copy;
}

export const flags = (passphrase: string = OLD): string[] => [
  ...["security", "db-migrate", "--from-passphrase", "--yes"],
  ...["--database-passphrase-file", fileWith(`${passphrase}\n`)],
];

/** Only the passphrase of the original is known, and is that of the vault. */
export const ALONE = { LANGO_PASSPHRASE: undefined };

export const migrate = (home: string, more: readonly string[] = []): Promise<Ran> =>
  lango([...flags(), ...more], { home, env: ALONE });

export const migrateJson = (home: string, more: readonly string[] = []) =>
  langoJson([...flags(), ...more], { home, env: ALONE });

/** Checks that a vault holds all that the original had, sealed, and that its log is whole. */
export async function expectBrought(home: string, passphrase: string = OLD): Promise<void> {
  const secret = new Uint8Array(bytes(passphrase));
  await using vault = await openVault({
    home,
    database: { enabled: true },
    unlock: async ([slot]) => ({
      credential: {
        ...{ kind: "passphrase", source: "test", secret, ambient: false },
        slotIds: [slot!.id],
      },
      skipped: [],
    }),
  });
  for (const [name, value] of Object.entries(VALUES)) {
    expect(Buffer.from((await vault.secrets.get(name)).value).toString()).toBe(value);
  }
  expect((await vault.audit.verify({ rows: true })).faults).toEqual([]);
  expectNoPlaintext(home);
}

/** No value, and nothing that an interruption left. */
export function expectNoPlaintext(home: string): void {
  for (const entry of readdirSync(home, { recursive: true, withFileTypes: true })) {
    expect(entry.name).not.toMatch(/^\.original-|\.(tmp|new)$/);
    if (!entry.isFile()) continue;
    const content = readFileSync(join(entry.parentPath, entry.name));
    for (const value of Object.values(VALUES)) expect(content.includes(value)).toBe(false);
  }
}
