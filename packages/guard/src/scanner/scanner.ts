import type { Transform } from "node:stream";
import { CryptoError, concat, isBytes } from "@lango/crypto-core";
import { checkMaskName, MaskTokens } from "./mask-tokens.ts";
import { createWorkshop, StreamMasker } from "./masker.ts";
import { ScreenMasker } from "./screen-masker.ts";
import { SecretIndex } from "./secret-index.ts";
import { Slices } from "./slices.ts";
import { nodeTransform, transformStream } from "./streams.ts";
import type {
  Finding,
  Masker,
  MaskOptions,
  ScanResult,
  SecretValue,
  TerminalMasker,
  Unmasked,
  UnmaskedReason,
} from "./types.ts";

export interface ScannerOptions {
  /** Every secret there is, not only those in use: any of them may turn up in an output. Default: none. */
  readonly secrets?: Iterable<SecretValue> | AsyncIterable<SecretValue>;
  /** Ends the building; `createScanner` then rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** Finds and masks secrets in any of their forms. Make one per process and as many streams of it as needed. */
export interface Scanner {
  /** How many secrets are masked. */
  readonly secretCount: number;
  /** The secrets that are not masked, to be warned about. */
  readonly unmasked: readonly Unmasked[];
  /** The length of the longest form: a stream holds back less than this, escape sequences in it not counted. */
  readonly longestForm: number;

  /** Masks a text that is there as a whole. */
  scan(bytes: Uint8Array): ScanResult;
  /** Masks a stream that the caller reads. */
  createMasker(options?: MaskOptions): Masker;
  /**
   * Masks what a program shows on a terminal, where what is held back is missed at once. Two ends that may become a secret
   * are shown: the echo of what the person typed, and up to 3 characters before a movement of the cursor. If they do become
   * one, the mask stands for the rest of it.
   */
  createTerminalMasker(options?: MaskOptions): TerminalMasker;
  /** Masks a web stream of bytes. */
  createTransformStream(options?: MaskOptions): TransformStream<Uint8Array, Uint8Array>;
  /** Masks a stream of Node. */
  createNodeTransform(options?: MaskOptions): Transform;

  /**
   * Adds secrets, each in place of the one that has its name, without building anew. Open streams know them from their next
   * chunk on. Runs in slices of a few milliseconds; changes that overlap run one after the other.
   *
   * @returns Those of them that are not masked.
   * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a name or value of the wrong kind; those before it are in.
   */
  set(
    secrets: Iterable<SecretValue> | AsyncIterable<SecretValue>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly Unmasked[]>;
  /** Forgets secrets. Names that are not known are skipped. */
  delete(names: Iterable<string>): Promise<void>;
  /** Zeroes what it keeps of secrets. Calls after it throw `ERR_CLOSED`. */
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * Makes a scanner. Values shorter than 6 bytes and common words are not masked and are listed in `unmasked`. Building
 * runs in slices of a few milliseconds.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a name or value of the wrong kind.
 */
export async function createScanner(options: ScannerOptions = {}): Promise<Scanner> {
  const scanner = new SecretScanner();
  try {
    await scanner.set(options.secrets ?? [], { signal: options.signal });
    return scanner;
  } catch (error) {
    scanner.close();
    throw error;
  }
}

class SecretScanner implements Scanner {
  readonly #index = new SecretIndex();
  readonly #tokens: MaskTokens = new MaskTokens(this.#index);
  readonly #shop = createWorkshop(this.#index, this.#tokens);
  readonly #unmasked = new Map<string, UnmaskedReason>();
  #changes: Promise<unknown> = Promise.resolve();

  get secretCount(): number {
    return this.#index.secretCount;
  }

  get unmasked(): readonly Unmasked[] {
    return [...this.#unmasked].map(([name, reason]) => ({ name, reason }));
  }

  get longestForm(): number {
    return this.#index.longest;
  }

  scan(bytes: Uint8Array): ScanResult {
    const findings: Finding[] = [];
    const masker = this.createMasker({ onFinding: (finding) => findings.push(finding) });
    const pieces = [...masker.write(bytes), ...masker.end()];
    return { output: findings.length === 0 ? bytes : concat(...pieces), findings };
  }

  createMasker(options?: MaskOptions): Masker {
    this.#checkOpen();
    return new StreamMasker(this.#shop, options);
  }

  createTerminalMasker(options?: MaskOptions): TerminalMasker {
    this.#checkOpen();
    return new ScreenMasker(new StreamMasker(this.#shop, options));
  }

  createTransformStream(options?: MaskOptions): TransformStream<Uint8Array, Uint8Array> {
    return transformStream(this.createMasker(options));
  }

  createNodeTransform(options?: MaskOptions): Transform {
    return nodeTransform(this.createMasker(options));
  }

  set(
    secrets: Iterable<SecretValue> | AsyncIterable<SecretValue>,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<readonly Unmasked[]> {
    return this.#change(async () => {
      const slices = new Slices();
      const unmasked: Unmasked[] = [];
      for await (const { name, value } of secrets) {
        options.signal?.throwIfAborted();
        this.#checkOpen();
        checkMaskName(name);
        checkValue(value);
        // A copy: the caller may zero its own while this one is entered piece by piece.
        const copy = new Uint8Array(value);
        try {
          const reason = await slices.run(this.#index.set(name, copy));
          this.#unmasked.delete(name);
          if (reason === undefined) continue;
          this.#unmasked.set(name, reason);
          unmasked.push({ name, reason });
        } finally {
          copy.fill(0);
        }
      }
      return unmasked;
    });
  }

  delete(names: Iterable<string>): Promise<void> {
    return this.#change(async () => {
      for (const name of names) {
        this.#index.delete(name);
        this.#unmasked.delete(name);
      }
    });
  }

  close(): void {
    this.#shop.isClosed = true;
    this.#index.close();
    this.#shop.text.clear();
    this.#shop.seen.text.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #change<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(async () => {
      this.#checkOpen();
      try {
        return await change();
      } finally {
        this.#tokens.clear();
        // Closed in the middle: what was entered since then goes too.
        if (this.#shop.isClosed) this.#index.close();
      }
    });
    this.#changes = done.catch(() => undefined);
    return done;
  }

  #checkOpen(): void {
    if (this.#shop.isClosed) throw new CryptoError("ERR_CLOSED", "The scanner is closed");
  }
}

const checkValue = (value: unknown): void => {
  if (isBytes(value)) return;
  throw new CryptoError("ERR_INVALID_ARGUMENT", "A secret's value is not a Uint8Array");
};
