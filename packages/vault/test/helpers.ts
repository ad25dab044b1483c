import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bytes, isCryptoError, utf8 } from "@lango/crypto-core";
import type { Kdf } from "@lango/envelope";
import type { SlotInfo, SlotKind, UnlockResult } from "@lango/unlock";
import { expect, onTestFinished } from "vitest";
import {
  type CreateVaultOptions,
  createVault,
  type OpenVaultOptions,
  openVault,
  type StoreAddress,
  type Vault,
} from "../src/index.ts";

export const PASSPHRASE = "correct horse battery";

/** Quick to derive: what the vault does is tested here, not how long a guess takes. */
export const quickKdf = (): Kdf => ({
  name: "pbkdf2-sha256",
  iterations: 1000,
  salt: crypto.getRandomValues(new Uint8Array(16)),
});

/** Where the vaults of homes are that are not in files; see {@link useStores}. */
const stores = new Map<string, StoreAddress>();
let newStore: (() => StoreAddress) | undefined;

/** Has every vault that is made from now on in this file kept in a database. */
export const useStores = (make: () => StoreAddress): void => {
  newStore = make;
};

/** Where the vault of a home is, as the functions that open one take it. */
export const storeOf = (home: string): { readonly store?: StoreAddress } => {
  const store = stores.get(home);
  return store ? { store } : {};
};

/** A folder that does not exist yet; removed after the test. */
export const newHome = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "lango-vault-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const home = join(folder, "home");
  if (newStore) stores.set(home, newStore());
  return home;
};

export const withPassphrase =
  (passphrase: string = PASSPHRASE, kind: SlotKind = "passphrase") =>
  async (slots: readonly SlotInfo[]): Promise<UnlockResult> => ({
    credential: {
      kind,
      source: "test",
      secret: utf8(passphrase),
      ambient: false,
      slotIds: slots.filter((slot) => slot.kind === kind).map(({ id }) => id),
    },
    skipped: [],
  });

let makesEncrypted = false;

/** From now on {@link makeVault} makes vaults whose database is encrypted. For a test file that runs the tests of others. */
export const makeEncrypted = (): void => {
  makesEncrypted = true;
};

export const makeVault = async (
  home: string,
  passphrase: string = PASSPHRASE,
  options: Partial<CreateVaultOptions> = {},
): Promise<Vault> => {
  const vault = await createVault({
    ...{ home, ...storeOf(home) },
    credentials: [{ kind: "passphrase", passphrase: utf8(passphrase) }],
    kdf: quickKdf(),
    acceptWeakKdf: true,
    database: { enabled: makesEncrypted },
    ...options,
  });
  onTestFinished(() => vault.close());
  return vault;
};

export const reopen = async (
  home: string,
  options: Partial<OpenVaultOptions> & { readonly passphrase?: string } = {},
): Promise<Vault> => {
  const { passphrase = PASSPHRASE, ...others } = options;
  const vault = await openVault({
    ...{ home, ...storeOf(home) },
    unlock: withPassphrase(passphrase),
    ...others,
  });
  onTestFinished(() => vault.close());
  return vault;
};

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytes = (value: string): Bytes => utf8(value);

/** Expects a CryptoError of a code whose message is one line. */
export const expectCode = async (run: Promise<unknown> | (() => unknown), code: string) => {
  const error = await Promise.resolve(typeof run === "function" ? run() : run).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isCryptoError(error)) throw error ?? new Error(`Expected ${code}, but nothing was thrown`);
  expect(error.code).toBe(code);
  expect(error.message).not.toMatch(/[\n\r]/);
  return error;
};
