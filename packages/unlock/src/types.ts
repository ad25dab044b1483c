import type { Bytes, CryptoProvider } from "@lango/crypto-core";

/** What a keyslot of a vault is opened with; the same words as in `keyslots.json`. */
export type SlotKind =
  | "passphrase"
  | "recovery"
  | "master-key-file"
  | "env"
  | "keyring"
  | "provider";

/** What a credential is: for a slot of a kind, or the vault key itself from the unlock agent. */
export type CredentialKind = SlotKind | "agent";

/** What an unlocker needs to know about a slot. */
export interface SlotInfo {
  readonly id: string;
  readonly kind: SlotKind;
  readonly label?: string | undefined;
  /** Of provider slots, always: the key that wraps the slot's key. It is looked for among {@link ProviderSlots}, and nowhere else. */
  readonly uri?: string | undefined;
  /**
   * Of provider slots: has that provider unwrap the slot's key, 32 bytes. Absent where slots are only described.
   *
   * @throws What the provider throws.
   */
  readonly unwrap?: ((provider: CryptoProvider) => Promise<Bytes>) | undefined;
}

/** The providers that are configured, for slots of kind `provider`. */
export interface ProviderSlots {
  /**
   * By scheme (`pkcs11`, `aws-kms`, …): whether any process of this user could have the slot's key unwrapped as well, see
   * {@link Credential.ambient}. A scheme that is not here is not configured.
   */
  readonly ambient: Readonly<Record<string, boolean>>;
  /**
   * The provider itself, never one that falls back. Asked only for a scheme of `ambient` of which the vault has a slot. Absent
   * where slots are only described.
   */
  readonly open?: ((scheme: string) => Promise<CryptoProvider>) | undefined;
}

/** Something that should open a slot. It has not been tried: only the vault can tell whether it fits. */
export interface Credential {
  readonly kind: CredentialKind;
  /** Where it came from, as people name it: `--passphrase-fd 3`, `LANGO_PASSPHRASE`, `keyfile /home/me/.lango/passphrase`, `prompt`. */
  readonly source: string;
  /**
   * The 32 bytes of a master key, of recovery words, of what a provider unwrapped or, of kind `agent`, the vault key; or the
   * bytes of a passphrase exactly as they were found: a trailing newline is still there, `normalizePassphrase` of
   * `@lango/envelope` takes it away. The receiver zeroes it.
   */
  readonly secret: Bytes;
  /**
   * Whether any process of the same user could have read it as well: true for the keyring, for the keyfile, for
   * `master.key`, for the unlock agent and for files named by the environment; false for what was given to this command alone.
   */
  readonly ambient: boolean;
  /**
   * The slots that it may open, in the order of the slot file; never empty. Of kind `agent`: the one with which the vault was
   * opened for the agent, which may be gone by now.
   */
  readonly slotIds: readonly string[];
  /** What its slot is labelled, where the source has a name for it: `ENCRYPTION_KEY v1`. */
  readonly slotLabel?: string | undefined;
  /**
   * Older keys of the same source, newest first: they open the vault while the newer ones have no slot yet. The receiver
   * zeroes them, too.
   */
  readonly others?: readonly CredentialKey[] | undefined;
  /**
   * Of the prompt only: asks the person once more, after what they typed opened nothing. `undefined` when they gave up. The
   * receiver zeroes what comes.
   */
  readonly again?: (() => Promise<Bytes | undefined>) | undefined;
}

/** One of several keys of a source. */
export type CredentialKey = Pick<Credential, "source" | "secret" | "ambient" | "slotLabel">;

/** Something wrong with the variables that hold keys and tokens. Shows no value. */
export interface VariableFault {
  /** All that have to do with it. */
  readonly variables: readonly string[];
  /** One line. */
  readonly problem: string;
  /** How to mend it. */
  readonly hint?: string;
}

/** A source that gave nothing, and why, in one line without secrets. */
export interface SkippedSource {
  readonly source: string;
  readonly reason: string;
}

export interface UnlockResult {
  readonly credential: Credential;
  /** The sources before it, in order. */
  readonly skipped: readonly SkippedSource[];
}

/** A passphrase for a slot that does not exist yet. */
export interface NewPassphrase {
  /** The bytes as they were found, like {@link Credential.secret}. The receiver zeroes it. */
  readonly passphrase: Bytes;
  readonly source: string;
  readonly ambient: boolean;
  readonly skipped: readonly SkippedSource[];
}

/** One line of {@link Unlocker.describe}. `fault` is a source at which `obtain` would fail. */
export interface SourceDescription {
  readonly source: string;
  readonly state: "would use" | "skipped" | "fault";
  /** Absent only for `would use`. */
  readonly reason?: string;
}

/** The two things that Lango keeps in an OS keyring. */
export type KeyringEntry = "master-key" | "passphrase";

/** An OS keyring. */
export interface KeyringBackend {
  /** Its name for people, e.g. `Secret Service`. */
  readonly name: string;
  /**
   * Reads an entry: the passphrase as bytes, the master key as hex or base64 text; `undefined` when there is none.
   *
   * @throws CryptoError `ERR_UNAVAILABLE` when the keyring is locked or cannot be reached, which skips the source;
   *   everything else ends the unlocking.
   */
  get(entry: KeyringEntry): Promise<Bytes | undefined>;
}

export interface UnlockOptions {
  /** The folder of the vault, absolute. */
  readonly home: string;
  /** The environment to look into; not changed. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `--passphrase-fd`: an open file descriptor, read to its end and closed unless it is 0, 1 or 2. */
  readonly passphraseFd?: number | undefined;
  /** `--passphrase-file`: a regular file, or a pipe as in `<(command)`. */
  readonly passphraseFile?: string | undefined;
  /** `--passphrase-stdin`: standard input, read to its end. */
  readonly passphraseStdin?: boolean | undefined;
  /** `--master-key-fd`: like `passphraseFd`, with a key that {@link parseMasterKey} takes. */
  readonly masterKeyFd?: number | undefined;
  /** `--recovery-words-fd`: like `passphraseFd`, with 24 words that {@link parseRecoveryWords} takes. */
  readonly recoveryWordsFd?: number | undefined;
  /** What stands before `passphrase` in the names of the options that errors show: `old-` for `--old-passphrase-fd`. Default none. */
  readonly optionPrefix?: string | undefined;
  /** `--unlock-with`: passes over every source of another kind. */
  readonly unlockWith?: CredentialKind | undefined;
  /**
   * Passes over every ambient source, see {@link Credential.ambient}. For commands that want fresh consent; what only changes
   * the versions of `ENCRYPTION_KEY` may be opened by each of them, in a file or not. Default false.
   */
  readonly skipAmbient?: boolean | "or ENCRYPTION_KEY" | undefined;
  /** Leaves out the unlock agent, which may hold the key of another vault than the one that is opened. Default false. */
  readonly skipAgent?: boolean | undefined;
  /** `security.keyring.enabled`: whether the keyring is asked for a passphrase. Default false. */
  readonly keyringEnabled?: boolean | undefined;
  /** Default: none, and the keyring is skipped. */
  readonly keyring?: KeyringBackend | undefined;
  /** Default: none is configured, and provider slots are skipped. */
  readonly providerSlots?: ProviderSlots | undefined;
  /**
   * Asks on the terminal. `undefined` means that the person gave up. Absent: there is no terminal, or `--no-input`.
   * `isAgain`: what was typed before was wrong, which the label says.
   */
  readonly prompt?: ((label: string, isAgain?: boolean) => Promise<Bytes | undefined>) | undefined;
  /** The same for recovery words, which nobody types unseen. They are asked for only with `unlockWith: "recovery"`. */
  readonly promptWords?: ((label: string) => Promise<Bytes | undefined>) | undefined;
  /** Whether the command itself leaves standard input alone, so that a passphrase may come from there. */
  readonly stdinFree: boolean;
  /**
   * Milliseconds to wait for a first byte when nobody said that standard input holds a passphrase: it may be a pipe to
   * which nobody will ever write. Default 30,000.
   */
  readonly stdinWaitMs?: number | undefined;
  /** Where the container runtime puts secrets. Default `/run/secrets`. */
  readonly containerSecrets?: string | undefined;
  /** Default `process.platform`. On `win32` owners and modes of files are not checked: they say nothing there. */
  readonly platform?: NodeJS.Platform | undefined;
}

/** What a new passphrase is for. */
export interface NewPassphraseOptions {
  /** A passphrase change: the other sources hold the old one, so only the flags and the prompt count. Default false. */
  readonly replacing?: boolean | undefined;
  /** Throws `ERR_INVALID_ARGUMENT` for a first entry that will not do, so that nobody types it twice. Default: takes any. */
  readonly check?: ((passphrase: Uint8Array) => void) | undefined;
}

/** Finds the credential of a vault. Holds no secret itself and may be used again. */
export interface Unlocker {
  /**
   * Returns the first credential of the sources, in the order of {@link createUnlocker}.
   *
   * @throws CryptoError `ERR_LOCKED` when no source gave anything (the hint lists each with its reason);
   *   `ERR_UNAVAILABLE`, `ERR_TIMEOUT`, `ERR_CIRCUIT_OPEN` or `ERR_PROVIDER_NOT_INSTALLED` instead, where only provider slots could have;
   *   `ERR_INVALID_ARGUMENT` for flags that contradict each other or a descriptor that is not open; `ERR_CONFIG` for a
   *   source that is there but unusable: a file that others can read, a key of another length, two variables that differ;
   *   `ERR_WRONG_PASSPHRASE` for recovery words that are none, and for a provider that has the key but cannot unwrap the slot's.
   */
  obtain(slots: readonly SlotInfo[]): Promise<UnlockResult>;
  /**
   * Returns a passphrase for a new slot, from the flags and the passphrase sources; at the prompt it is asked twice.
   *
   * @throws CryptoError like `obtain`, and `ERR_INVALID_ARGUMENT` when the two entries differ.
   */
  obtainNewPassphrase(options?: NewPassphraseOptions): Promise<NewPassphrase>;
  /**
   * Tells what `obtain` would do, in its order, up to and including the source that would be used or would fail.
   * Never prompts, reads no descriptor and asks no provider; files, variables and the keyring are read and forgotten. A keyring that is
   * locked may show a dialog of its own.
   *
   * @throws CryptoError `ERR_INVALID_ARGUMENT` for flags that contradict each other.
   */
  describe(slots: readonly SlotInfo[]): Promise<readonly SourceDescription[]>;
}
