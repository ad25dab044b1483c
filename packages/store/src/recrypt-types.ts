/** How a file is encrypted. */
export interface CipherState {
  /** Bytes of a page. */
  readonly pageSize: number;
  /** Whether it was opened with a passphrase in place of a raw key. */
  readonly isPassphrase?: true;
}

/** What `recrypt` of a store takes. */
export interface RecryptOptions {
  /** The new raw key, 32 bytes, copied. Absent: the database is in plaintext afterwards. */
  readonly key?: Uint8Array | undefined;
  /** Bytes of a page, a power of two from 1,024 to 65,536. Default: as the database has it, 4,096 if it was in plaintext. */
  readonly cipherPageSize?: number | undefined;
  /** Is told each stage that is reached. An error of it ends the work before the last three; nothing was changed then. */
  readonly onStage?: ((stage: RecryptStage) => void) | undefined;
}

/** `locked`: nobody else has the database open. `copied`, `encrypted` (or decrypted), `checked`: the copy. */
export type RecryptStage = (typeof RECRYPT_STAGES)[number];
export const RECRYPT_STAGES = [
  "locked",
  "copied",
  "encrypted",
  "checked",
  "cleared",
  "renamed",
  "reopened",
] as const;

/** What `recrypt` of a store did. */
export interface Recrypted {
  /** Rows of every table, counted in both files. */
  readonly rows: number;
}
