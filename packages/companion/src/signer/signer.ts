import type { KeyObject } from "node:crypto";
import {
  CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
  callHook,
  createCryptoClient,
  isCryptoError,
  toCryptoError,
  zero,
} from "@lango/crypto-core";
import type { IncomingRequest, RequestHandler } from "../channel/types.ts";
import type { MethodName, Result } from "../protocol/methods.ts";
import { createAsking, type Waiting } from "./asking.ts";
import { type Job, type JobContext, jobFor } from "./jobs.ts";
import { checkSees, createNameCheck } from "./keys.ts";
import { createOnce, ONCE } from "./once.ts";
import { checkPolicy, type SignerPolicy } from "./policy.ts";
import type { Prompter } from "./question.ts";
import type { ResultStore } from "./results.ts";
import { escapeText } from "./text.ts";

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
  readonly onEvent?: ((event: SignerEvent) => void | Promise<void>) | undefined;
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

/**
 * A companion whose keys any provider holds: what answers the requests of a channel, all but `rollover`.
 *
 * Requests go through the policy, then to a person where it says so, then to the keys. `sign`, `mac`, `wallet.sign` and
 * `approval.request` happen once for a device and an id: the result is in `results` before it is given out, and the same
 * request again gets the same bytes. Values to encrypt and keys to wrap are zeroed in the params.
 *
 * @returns A handler that rejects with a {@link CryptoError}, or with the reason of the request's signal: `ERR_KEY_NOT_FOUND`
 *   also for keys that the device may not see; `ERR_DENIED` for a no; `ERR_APPROVAL_TIMEOUT`; `ERR_RATE_LIMITED` for more than
 *   8 open questions; `ERR_CONFLICT` for an id that came with another request; and what the provider fails with.
 * @throws {@link CryptoError} `ERR_CONFIG` for a policy that would answer approvals without a person.
 */
export const createSigner = ({
  keys: provider,
  name,
  results,
  identity,
  prompter,
  policy: rules = {},
  questionTimeoutMs = 120_000,
  clock = Date.now,
  onEvent,
}: SignerOptions): RequestHandler => {
  const policy = checkPolicy(rules);
  const ask = createAsking({ prompter, timeoutMs: questionTimeoutMs, clock });
  const runOnce = createOnce(results);
  // For its checks: params of a device are no more trusted than those of an application.
  const context: JobContext = {
    keys: createCryptoClient({ provider }),
    name,
    policy,
    identity,
    clock,
  };
  const checkName = createNameCheck(context.keys);

  const askPerson = async (
    { peer, method }: IncomingRequest,
    { keyId, lines, dangerous = false, expiresAt }: Job,
    waiting: Waiting,
  ): Promise<boolean> => {
    const question = [
      `Device: ${escapeText(peer.name)}`,
      `Asks for: ${method}${keyId === undefined ? "" : `, key ${escapeText(keyId)}`}`,
      ...(lines?.() ?? []),
    ];
    return ask({ peer, method, keyId, lines: question, dangerous, expiresAt }, waiting);
  };

  const answer = async (request: IncomingRequest, note: Note): Promise<Result<MethodName>> => {
    const { peer, method, signal } = request;
    const job = jobFor(context, request);
    try {
      if (job.keyId !== undefined) checkSees(policy, peer, job.keyId);
      const asks = policy.asks(peer, method, job.keyId);
      const decide = async (waiting: Waiting): Promise<Job["act"]> => {
        // Nobody is troubled for a key that is not there.
        if (job.keyId !== undefined) await checkName(job.keyId, waiting.signal, asks);
        if (!asks) return job.act;
        note.asked = true;
        if (await askPerson(request, job, waiting)) return job.act;
        return job.refuse ?? refuse(method);
      };
      if (ONCE.has(method)) {
        const once = await runOnce(request, async (run) => run.act(await decide(run)));
        if (once.replayed) note.outcome = "replayed";
        return once.result;
      }
      const act = await decide({ signal, waiting: () => request.waiting() });
      return await act();
    } finally {
      zero(job.secret);
    }
  };

  return async (request) => {
    const startedAt = performance.now();
    const note: Note = { asked: false, outcome: "ok" };
    try {
      return await answer(request, note);
    } catch (error) {
      const aborted = request.signal.aborted && Object.is(error, request.signal.reason);
      note.outcome = aborted ? "aborted" : codeOf(error);
      throw aborted ? error : toCryptoError(error, { operation: request.method });
    } finally {
      callHook("onEvent", onEvent, {
        peerId: request.peer.id,
        id: request.id,
        method: request.method,
        ...note,
        durationMs: performance.now() - startedAt,
      });
    }
  };
};

/** What becomes of a request, for its event. */
interface Note {
  asked: boolean;
  outcome: SignerEvent["outcome"];
}

const codeOf = (error: unknown): CryptoErrorCode =>
  isCryptoError(error) ? error.code : "ERR_INTERNAL";

const refuse = (method: MethodName) => (): Promise<never> =>
  Promise.reject(new CryptoError("ERR_DENIED", `The companion's owner said no to ${method}`));
