import type { DataKeyState } from "@lango/store";

/** How far a rotation is. First every value is sealed again (`reseal`), then every one is opened (`verify`). */
export interface RotationProgress {
  readonly stage: "reseal" | "verify";
  /** Versions of secrets. */
  readonly done: number;
  /** As counted when the stage began; others go on writing. */
  readonly total: number;
}

export interface RotateOptions {
  readonly onProgress?: ((progress: RotationProgress) => void) | undefined;
  /**
   * Ends it between two batches, with `signal.reason`. What was done stays done; {@link Rotation.resume} goes on, in any
   * process.
   */
  readonly signal?: AbortSignal | undefined;
  /** After a `rekey` with `compromised`: goes on although rows are not as the log says; as `acceptFaults` there. Default false. */
  readonly acceptFaults?: boolean | undefined;
}

export interface RotationResult {
  /** Versions of secrets that this call sealed again. */
  readonly resealed: number;
  /** Versions that were opened in the end. */
  readonly verified: number;
  /** Ids of the data keys that are gone now. */
  readonly retired: readonly string[];
}

/** A rotation that was begun and has not ended. */
export interface RotationStatus {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Ids of the data keys that it takes out of use. */
  readonly dataKeys: readonly string[];
  /** Versions of secrets that were to be sealed again when it began. */
  readonly total: number;
}

/** New data keys, and every value sealed again under them, while everybody goes on reading and writing. */
export interface Rotation {
  /**
   * Makes a new data key for each key of the registry that has one, seals every kept version of every secret again, opens all
   * of them as a check, and only then destroys the old data keys.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when a rotation has not ended: {@link resume} it. `ERR_DECRYPTION_FAILED`, with
   *   the name of the secret, for a value that does not open; nothing is lost then and no data key destroyed. `ERR_INTEGRITY`,
   *   after a `rekey` with `compromised`, for values and rows that are not as the log says. Whatever the providers of the keys throw.
   */
  start(options?: RotateOptions): Promise<RotationResult>;
  /**
   * Goes on with the rotation that was begun, by whatever process.
   *
   * @throws {@link CryptoError} `ERR_NOT_FOUND` when there is none; else as `start`.
   */
  resume(options?: RotateOptions): Promise<RotationResult>;
  /** The rotation that has not ended. */
  status(): Promise<RotationStatus | undefined>;
}

/** A data key of the vault. */
export interface DataKeyInfo {
  /** 24 hex characters. */
  readonly id: string;
  /** URI of its key in the registry. */
  readonly key: string;
  /** What it seals: `secrets`, or `secrets/fallback` while the provider could not be reached. */
  readonly domain: string;
  /** `active` seals new values, `decrypt-only` opens old ones, `retired` is destroyed. */
  readonly state: DataKeyState;
  readonly createdAt: number;
  /** Kept versions of secrets that nothing else opens. */
  readonly values: number;
}

export interface RetireOptions {
  /** Changes nothing, and says what would be. Default is false. */
  readonly dryRun?: boolean | undefined;
  /** First removes versions whose secret has lost its row: nothing opens them. Default is false. */
  readonly orphans?: boolean | undefined;
}
export interface RetireResult {
  /** Such versions: removed, or with `dryRun` the first 500. The name is from the log, where it has one. */
  readonly orphans: readonly string[];
  /** Data keys that are gone now. */
  readonly retired: readonly DataKeyInfo[];
  /** Those that open old values only, and are still needed for that. */
  readonly needed: readonly DataKeyInfo[];
}

/** The data keys themselves. */
export interface VaultDataKeys {
  /** All of them, oldest first; counts values, which takes longer the more there are. */
  list(): Promise<DataKeyInfo[]>;
  /**
   * Destroys the data keys that seal nothing any more and open nothing: `decrypt-only` ones that no version needs. Those that a
   * rotation has under way are left to it.
   */
  retire(options?: RetireOptions): Promise<RetireResult>;
}
