import type { Bytes } from "@lango/crypto-core";
import type { Peer } from "../peers.ts";
import type { MethodName, Params, Result } from "../protocol/methods.ts";

/** An authenticated connection to one paired device: TLS 1.3 with both keys checked, and never resumed. */
export interface Channel {
  readonly peer: Peer;
  /** The key of the other device: DER SubjectPublicKeyInfo. Its SHA-256 is the pin. */
  readonly publicKey: Bytes;
  /** 32 bytes that only the two ends of this TLS connection know (RFC 5705, RFC 8446 §7.5). */
  readonly binding: Bytes;
  /**
   * Sends a request and waits for its answer.
   *
   * @throws CryptoError What the companion failed with; `ERR_TIMEOUT`; `ERR_APPROVAL_TIMEOUT` when a person did not decide;
   *   `ERR_UNAVAILABLE` when the connection is lost, or the other side broke the protocol and was closed; `ERR_ACCESS_DENIED` when the
   *   device was revoked, here or there; `ERR_RATE_LIMITED` when too much is in flight; `ERR_CONFLICT` for an id that is in flight;
   *   `ERR_INVALID_ARGUMENT`; `ERR_CLOSED` after `close`. An abort rejects with its reason.
   */
  call<M extends MethodName>(
    method: M,
    params: Params<M>,
    options?: ChannelCallOptions,
  ): Promise<Result<M>>;
  /** Resolves when the channel is gone, with the reason in one line. Never rejects. */
  readonly closed: Promise<string>;
  close(): Promise<void>;
}

export interface ChannelCallOptions {
  /** 128 random bits in base64url. A retry carries the id of the first try, so that nothing is done twice. Default: a new one. */
  readonly id?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until `ERR_TIMEOUT`. Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds that a person may take, counted from the first heartbeat that says that one was asked. Default: 120,000. */
  readonly approvalTimeoutMs?: number | undefined;
}

/** A request as the side that answers it sees it. */
export interface IncomingRequest<M extends MethodName = MethodName> {
  readonly id: string;
  readonly method: M;
  readonly params: Params<M>;
  readonly peer: Peer;
  readonly binding: Bytes;
  /** Aborts when the other side gave up, its deadline passed, the channel closed or the device was revoked. */
  readonly signal: AbortSignal;
  /** SHA-256, 32 bytes, over the method and the params as they came: the same id with another hash is refused. */
  readonly hash: Bytes;
  /** A person is being asked: heartbeats go out until the returned function is called, and the clock for people runs. */
  waiting(): () => void;
}

/**
 * What the companion does. It is given only requests of paired devices, with checked params. The channel zeroes the `plaintext`
 * or `key` of its result when that is written.
 */
export type RequestHandler = (request: IncomingRequest) => Promise<Result<MethodName>>;
