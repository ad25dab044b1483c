import { CryptoError, zero } from "@lango/crypto-core";
import { openStore } from "@lango/store";
import { changeFile, UNCHANGED } from "./database-encryption.ts";
import type { ChangeDatabaseOptions, ChangedDatabase } from "./database-types.ts";
import { noVault } from "./home.ts";
import { homePaths, readKeyslots } from "./keyslots-file.ts";
import { openContext } from "./open-context.ts";
import type { OpenVaultOptions } from "./types.ts";

/** What `adoptDatabase` takes. */
export interface AdoptDatabaseOptions
  extends Pick<OpenVaultOptions, "home" | "unlock" | "busyTimeoutMs" | "clock">,
    ChangeDatabaseOptions {
  /** What another program gave to `PRAGMA key`, with the defaults of SQLCipher 4. The caller zeroes it. */
  readonly databasePassphrase: Uint8Array;
}

/**
 * Puts the database of a vault that another program encrypted with a passphrase under the key of its vault. One that is so already
 * stays as it is.
 *
 * @throws {@link CryptoError} `ERR_WRONG_PASSPHRASE` for a wrong one, or a damaged file; `ERR_INTEGRITY` for a database of another
 *   application, which is left as it is; else as `openVault` and {@link DatabaseEncryption.encrypt}.
 */
export const adoptDatabase = async (options: AdoptDatabaseOptions): Promise<ChangedDatabase> => {
  const { home, databasePassphrase: passphrase } = options;
  const paths = homePaths(home);
  if (!(await readKeyslots(paths))) {
    // Without slots it may be the database of something else: then that is what is wrong.
    await (await openStore({ file: paths.database, mode: "read", passphrase })).close();
    throw await noVault({ home });
  }
  const opened = await openContext(options);
  const { context } = opened;
  const key = context.keys.database();
  try {
    const { cipher } = context.store;
    if (!cipher) {
      throw new CryptoError("ERR_CONFLICT", `${paths.database} is in plaintext`, {
        context: { hint: "Run: lango security db-migrate" },
      });
    }
    if (!cipher.isPassphrase) return UNCHANGED;
    return await context.store.withLock(() =>
      changeFile(context, "database.adopt", { key }, options),
    );
  } catch (error) {
    await opened.fail(error);
    throw error;
  } finally {
    zero(key);
    await opened.discard();
  }
};
