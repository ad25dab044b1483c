import type { Bytes, CryptoError } from "@lango/crypto-core";
import type { Credential, CredentialKey, CredentialKind, SlotInfo } from "./types.ts";

/** What asking a source gave. A source that is there but unusable throws instead. */
export type Attempt =
  | {
      readonly state: "found";
      readonly secret: Bytes;
      /** Default: every slot that the source is for. */
      readonly slotIds?: readonly string[];
      /** Of a source of several keys: the one of `secret`, and those to try after it. */
      readonly from?: CredentialKey;
      readonly others?: readonly CredentialKey[];
      /** See {@link Credential.again}. */
      readonly again?: Credential["again"];
    }
  | {
      readonly state: "skipped";
      readonly reason: string;
      /** What no credential mends, such as a service that is away: the error where nothing else could have opened the vault. */
      readonly failure?: CryptoError;
    };

/** One place where a credential may be. */
export interface Source {
  /** As people name it; never anything that was found there. */
  readonly name: string;
  /** The kinds of slot that its credential may open. */
  readonly kinds: readonly CredentialKind[];
  /** Which slots of these kinds are its own, and what they are called. Default: all. */
  readonly opens?: { readonly what: string; readonly fits: (slot: SlotInfo) => boolean };
  readonly ambient: boolean;
  /** Asks the source. */
  take(): Promise<Attempt>;
  /** Tells what `take` would do where that would consume input or disturb a person: a reason to skip, or nothing. */
  look?(): Promise<string | undefined>;
}

/** Why a source that everybody of this user can read is passed over. */
export const TOO_OPEN =
  "any process of this user could give it, and this command wants fresh consent";

export const found = (secret: Bytes): Attempt => ({ state: "found", secret });
export const skipped = (reason: string): Attempt => ({ state: "skipped", reason });

/** Takes away one line ending, as an editor or `echo` leaves it; shares memory with `text`. */
export function withoutFinalNewline<B extends ArrayBufferLike>(text: Uint8Array<B>): Uint8Array<B> {
  if (text.at(-1) !== 0x0a) return text;
  return text.subarray(0, text.at(-2) === 0x0d ? -2 : -1);
}
