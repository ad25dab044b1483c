/** A secret as the scanner takes it. The scanner copies what it needs; the caller may zero `value` afterwards. */
export interface SecretValue {
  /** Shown in the mask: letters, digits and `._/:-`, 1 to 256 of them. */
  readonly name: string;
  readonly value: Uint8Array;
}

/** How a secret was written where it was found. */
export type FormName =
  | "raw"
  | "base64"
  | "base64url"
  | "hex"
  | "hex-escape"
  | "percent"
  | "json"
  | "unicode-escape"
  | "html"
  | "shell"
  | "utf-16le"
  | "utf-16be"
  | "quoted-printable";

/** One place that was masked. */
export interface Finding {
  readonly name: string;
  /** The form of the longest match there. */
  readonly form: FormName;
  /** Where it began, in bytes of all input so far. */
  readonly offset: number;
  /** How many bytes of input the mask stands for. */
  readonly length: number;
}

/** Why a secret is not masked: it would turn ordinary text into masks. */
export type UnmaskedReason = "short" | "common";

/** A secret that the scanner was given and does not mask. */
export interface Unmasked {
  readonly name: string;
  readonly reason: UnmaskedReason;
}

export interface ScanResult {
  /** The input with masks. It is the input itself where nothing was masked. */
  readonly output: Uint8Array;
  readonly findings: readonly Finding[];
}

export interface MaskOptions {
  /** Called for every mask, in order, before its bytes are given out. If it throws, they are not. */
  readonly onFinding?: (finding: Finding) => void;
}

/** Masks one stream of bytes. Its output is the same however the input is cut into chunks. */
export interface Masker {
  /**
   * Takes the next bytes and gives those that are decided: all but a tail that may be the beginning of a secret.
   *
   * @returns What to write, piece by piece, so that nothing is copied without need. Pieces may be views of `chunk`: use them
   *   before its memory is written again.
   * @throws {@link CryptoError} `ERR_CLOSED` after `end`, and when the scanner is closed.
   */
  write(chunk: Uint8Array): readonly Uint8Array[];
  /** Gives out what was held back. Call it once, at the end of the stream and never by a clock. */
  end(): readonly Uint8Array[];
  /** How many bytes are held back now. */
  readonly heldBytes: number;
}

/** Masks what a program shows on a terminal. */
export interface TerminalMasker extends Masker {
  /** To be called with what the person types, before the program gets it. Its echo is not held back. */
  typed(bytes: Uint8Array): void;
}
