import type { KeyObject } from "node:crypto";
import { type CryptoErrorCode, type CryptoProvider, CryptoError } from "@lango/crypto-core";
import type { RequestHandler } from "../channel/types.ts";
import type { MethodName } from "../protocol/methods.ts";
import type { SignerPolicy } from "./policy.ts";
import type { Prompter } from "./question.ts";
import type { ResultStore } from "./results.ts";

export interface SignerOptions {
  /** Where the keys are: one provider, or a composite, whose key ids are URIs. It stays open; closing it is the caller's. */
  readonly keys: CryptoProvider;
  /** What `status` calls this companion. */
  readonly name: string;
  readonly results: ResultStore;
  /** The key of this companion's certificate (P-256), which signs approvals. Default: `approval.request` is `ERR_UNSUPPORTED`. */
  readonly identity?: { readonly privateKey: KeyObject } | undefined;
  /** Default: nobody can be asked, and what needs a yes is `ERR_DENIED`. */
  readonly prompter?: Prompter | undefined;
  readonly policy?: SignerPolicy | undefined;
  /** Milliseconds that a person may take from when a question is shown. Default: 120,000. */
  readonly questionTimeoutMs?: number | undefined;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
  /** Told of every request when it ended. Not awaited; what it throws becomes a warning of the process. */
  readonly onEvent?: ((event: SignerEvent) => void) | undefined;
}

/** A request that ended. It holds no value, and no text that the other side chose. */
export interface SignerEvent {
  readonly peerId: string;
  readonly id: string;
  readonly method: MethodName;
  /** Whether a person was asked. */
  readonly asked: boolean;
  /** `replayed`: answered from the results, nothing was done again. `aborted`: nobody waits any longer. */
  readonly outcome: "ok" | "replayed" | "aborted" | CryptoErrorCode;
  readonly durationMs: number;
}

/** A companion whose keys are held by any provider. */
export const createSigner = (_options: SignerOptions): RequestHandler => () =>
  Promise.reject(new CryptoError("ERR_UNSUPPORTED", "Not offered yet"));
