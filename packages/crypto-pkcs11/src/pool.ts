import { setTimeout as sleep } from "node:timers/promises";
import {
  type Bytes,
  type CryptoError,
  type ErrorContext,
  raceSignal,
  zero,
} from "@lango/crypto-core";
import { classOf, fail, isBadCiphertext, isPinRefused, toError } from "./errors.ts";
import {
  type Answer,
  ModuleFailure,
  type ModuleProcess,
  startModuleProcess,
} from "./module-process.ts";
import type { CallName, Calls, Failure, MechanismFacts, ProbeResults } from "./protocol.ts";
import { type ChosenToken, chooseToken, type TokenChoice } from "./token-choice.ts";

export interface PoolOptions {
  readonly modulePath: string;
  readonly initialize: { readonly libraryParameters?: string; readonly flags?: number };
  /** Environment of the children. */
  readonly env: NodeJS.ProcessEnv;
  readonly token: TokenChoice;
  /** Zeroed by `close`. */
  readonly pin: Bytes | undefined;
  readonly maxSessions: number;
  readonly maxCalls: number;
  readonly operationTimeoutMs: number;
}

/** What is known of the token since it was last opened. */
export interface OpenToken extends ChosenToken {
  readonly mechanisms: readonly MechanismFacts[];
  readonly probes: ProbeResults;
}

export interface CallSettings {
  readonly context: ErrorContext;
  readonly signal?: AbortSignal | undefined;
  readonly bytes?: readonly Uint8Array[];
  /** Whether the PIN goes with the call, after its byte strings: for keys that want it at each use. */
  readonly withPin?: boolean;
  /** Whether the call may be made again after its session was lost. Default: true. */
  readonly repeatable?: boolean;
  /** Milliseconds that the module may take for it. Default: `operationTimeoutMs`. */
  readonly timeoutMs?: number;
}

/** Sessions with one token, each in a process of its own. */
export interface Pool {
  /** @throws {@link CryptoError} `ERR_CLOSED`; the signal's reason if it is aborted. */
  check(context: ErrorContext, signal: AbortSignal | undefined): void;
  /** Opens the token, without a login. */
  look(context: ErrorContext, signal: AbortSignal | undefined): Promise<OpenToken>;
  /** Logged in. @throws {@link CryptoError} by the table of errors.ts; the signal's reason after an abort. */
  call<Name extends CallName>(
    name: Name,
    ask: Calls[Name]["ask"],
    settings: CallSettings,
  ): Promise<Answer<Name>>;
  /** Lets calls in flight end, and the processes with them. */
  close(): Promise<void>;
}

/** A session in a process. Sessions are opened again by generation: whoever finds one dead names the generation it used. */
interface Lane {
  generation: number;
  /** Calls that were given to it and have not ended. */
  calls: number;
  process?: ModuleProcess | undefined;
  token?: OpenToken;
  opening?: Promise<OpenToken> | undefined;
  login?: Promise<void> | undefined;
}

/**
 * After a failure: `reopen` and `restart` give the session, or its process too, another try with the same call; `retire` gives
 * the next call a new process.
 */
type Reaction = "reopen" | "restart" | "retire";

/** From this many calls in one session on, another session helps. */
const BUSY = 8;
/** A process has to start, and its module to find the token, however little time an operation has. */
const OPEN_TIMEOUT_MS = 10_000;
/** Milliseconds until another session is tried again after one could not be opened. */
const GROW_AGAIN_MS = 10_000;
/** Milliseconds, about, until a session is opened again after a failure. */
const OPEN_AGAIN_MS = 50;

export function createPool(options: PoolOptions): Pool {
  const { modulePath, initialize, env, pin, maxCalls, operationTimeoutMs } = options;
  const openTimeoutMs = Math.max(operationTimeoutMs, OPEN_TIMEOUT_MS);
  const lanes: Lane[] = [{ generation: 0, calls: 0 }];
  let limit = options.maxSessions;
  let growAt = 0;
  /** A session that is being opened and takes no calls yet. */
  let growing: Lane | undefined;
  let calls = 0;
  let closed = false;
  let pinRefused: CryptoError | undefined;
  let loginTurn: Promise<unknown> = Promise.resolve();
  /** What a slot number led to first: another token must not take its place unseen. */
  let choice = options.token;

  const open = async (lane: Lane): Promise<OpenToken> => {
    if (lane.process === undefined || lane.process.ended) {
      refuseClosed();
      lane.process = startModuleProcess(env);
      const ask = { modulePath, ...initialize };
      const { answer } = await lane.process.ask("start", ask, [], openTimeoutMs);
      lane.token = { ...chooseToken(answer.tokens, choice), mechanisms: [], probes: NO_PROBES };
    }
    const { token, by } = lane.token!;
    const { slotId } = token;
    const { answer } = await lane.process.ask("open", { slotId }, [], openTimeoutMs);
    choice = { ...choice, label: token.label };
    lane.token = { token, by, ...answer };
    return lane.token;
  };

  const ensureOpen = (lane: Lane): Promise<OpenToken> => {
    lane.opening ??= open(lane).catch(async (error: unknown) => {
      // What C_Finalize and C_Initialize would do for a token that came back, a new process does at the next call.
      retire(lane, lane.generation);
      throw error;
    });
    return lane.opening;
  };

  /** One login at a time in all sessions: a wrong PIN costs one try of the token's few. */
  const ensureLogin = (lane: Lane): Promise<void> => {
    if (lane.process?.ended) retire(lane, lane.generation);
    if (lane.login === undefined) {
      const login = loginNow(lane, loginTurn);
      lane.login = login;
      loginTurn = login.catch(() => {
        if (lane.login === login) lane.login = undefined;
      });
    }
    return lane.login;
  };
  const loginNow = async (lane: Lane, turn: Promise<unknown>): Promise<void> => {
    const { token } = await ensureOpen(lane);
    await turn;
    // Its PIN is zeros now, or will be: a wrong one, which the token would count.
    refuseClosed();
    if (pinRefused !== undefined) throw pinRefused;
    if (!token.loginRequired) return;
    if (pin === undefined && !token.protectedAuthentication) throw pinMissing();
    try {
      await lane.process!.ask("login", {}, pin === undefined ? [] : [pin], operationTimeoutMs);
    } catch (error) {
      throw refusedPin(error) ?? error;
    }
  };
  /** The error of every later call, if the token refused the PIN. */
  const refusedPin = (error: unknown): CryptoError | undefined => {
    if (!(error instanceof ModuleFailure) || !isPinRefused(error.failure)) return undefined;
    pinRefused ??= toError(error.failure, { operation: "login" });
    return pinRefused;
  };

  /** The next call gets a new session in the same process. */
  const reopen = (lane: Lane, generation: number): void => {
    if (lane.generation !== generation) return;
    lane.generation++;
    lane.opening = undefined;
    lane.login = undefined;
  };
  /** The next call gets a new process. Calls in flight end in the old one. */
  const retire = (lane: Lane, generation: number): void => {
    if (lane.generation !== generation) return;
    reopen(lane, generation);
    void lane.process?.retire();
    lane.process = undefined;
  };

  const pick = (): Lane => {
    const [first = lanes[0]!, ...others] = lanes;
    const lane = others.reduce((best, each) => (each.calls < best.calls ? each : best), first);
    if (lane.calls >= BUSY && lanes.length < limit && performance.now() > growAt) void grow();
    return lane;
  };
  /** Opens one more session; calls go to it when it is ready. */
  const grow = async (): Promise<void> => {
    growAt = Number.POSITIVE_INFINITY;
    const lane: Lane = { generation: 0, calls: 0 };
    growing = lane;
    try {
      const { token } = await ensureOpen(lane);
      limit = Math.min(limit, token.maxSessions ?? limit);
      if (lanes.length >= limit) throw new Error("no room");
      await ensureLogin(lane);
      refuseClosed();
      lanes.push(lane);
      growAt = 0;
    } catch (error) {
      const failure = error instanceof ModuleFailure ? error.failure.name : "";
      // As many as there are is as many as the token takes.
      if (failure === "CKR_SESSION_COUNT") limit = lanes.length;
      growAt = performance.now() + GROW_AGAIN_MS;
      void lane.process?.retire();
    } finally {
      growing = undefined;
    }
  };

  const run = async <Name extends CallName>(
    name: Name,
    ask: Calls[Name]["ask"],
    settings: CallSettings,
  ): Promise<Answer<Name>> => {
    const lane = pick();
    // Counted at once: the calls of one turn of the event loop would all find the same session idle.
    lane.calls++;
    try {
      return await runIn(lane, name, ask, settings);
    } finally {
      lane.calls--;
    }
  };

  const runIn = async <Name extends CallName>(
    lane: Lane,
    name: Name,
    ask: Calls[Name]["ask"],
    {
      bytes = [],
      withPin = false,
      repeatable = true,
      timeoutMs = operationTimeoutMs,
    }: CallSettings,
  ): Promise<Answer<Name>> => {
    /** How often each step was tried again. */
    const repeated = { login: 0, call: 0 };
    for (;;) {
      let { generation } = lane;
      /** What may have failed. Before its login nothing of the call was done. */
      let step: CallName = "login";
      try {
        await ensureLogin(lane);
        generation = lane.generation;
        step = name;
        if (withPin && pinRefused !== undefined) throw pinRefused;
        const sent = withPin && pin !== undefined ? [...bytes, pin] : bytes;
        return await lane.process!.ask(name, ask, sent, timeoutMs);
      } catch (error) {
        const { failure, reaction } = await judge(error, lane, step);
        if (reaction === "reopen") reopen(lane, generation);
        else if (reaction !== undefined) retire(lane, generation);
        const again = reaction === "reopen" || reaction === "restart";
        const counted = step === "login" ? "login" : "call";
        const allowed = step === "login" ? openings(failure) : repeatable ? 1 : 0;
        if (!again || repeated[counted] >= allowed) throw failure;
        repeated[counted]++;
        // Whoever opened the token at the same moment has to be through with it.
        if (step === "login") await sleep(OPEN_AGAIN_MS * (0.5 + Math.random()));
      }
    }
  };

  /** What to do with a session after a failure, and the failure to report. */
  const judge = async (
    error: unknown,
    lane: Lane,
    step: CallName,
  ): Promise<{ failure: unknown; reaction?: Reaction }> => {
    if (!(error instanceof ModuleFailure)) return { failure: error };
    const refused = refusedPin(error);
    if (refused !== undefined) return { failure: refused };
    const { failure } = error;
    switch (classOf(failure)) {
      case "session lost":
        // What C_Finalize and C_Initialize would do, a new process does.
        return {
          failure: error,
          reaction: failure.name === "CKR_CRYPTOKI_NOT_INITIALIZED" ? "restart" : "reopen",
        };
      case "unavailable":
      case "hung":
        return { failure: error, reaction: "retire" };
      case "unclear":
        return (await whatAilsIt(lane)) ?? { failure: error, ...unclear(failure, step) };
      default:
        return { failure: error };
    }
  };

  /** A failure that says nothing may hide that the token is away: then that is the failure. Another that says nothing is none. */
  const whatAilsIt = async (
    lane: Lane,
  ): Promise<{ failure: ModuleFailure; reaction: "retire" } | undefined> => {
    const { process, token } = lane;
    if (process === undefined || token === undefined) return undefined;
    try {
      await process.ask("info", { slotId: token.token.slotId }, [], operationTimeoutMs);
      return undefined;
    } catch (error) {
      const tells = error instanceof ModuleFailure && classOf(error.failure) !== "unclear";
      return tells ? { failure: error, reaction: "retire" } : undefined;
    }
  };

  const refuseClosed = (context?: ErrorContext): void => {
    if (closed) throw fail("ERR_CLOSED", "The provider is closed", context);
  };
  const check: Pool["check"] = (context, signal) => {
    refuseClosed(context);
    signal?.throwIfAborted();
  };

  const guarded = async <T>(context: ErrorContext, work: () => Promise<T>): Promise<T> => {
    check(context, undefined);
    if (calls >= maxCalls) {
      throw fail("ERR_RATE_LIMITED", `${maxCalls} calls to the token wait already`, context);
    }
    calls++;
    try {
      return await work();
    } catch (error) {
      throw error instanceof ModuleFailure ? toError(error.failure, context) : error;
    } finally {
      calls--;
    }
  };

  return {
    check,
    look: (context, signal) =>
      raceSignal(signal, () => guarded(context, () => ensureOpen(lanes[0]!))),
    call: (name, ask, settings) => {
      const { context, signal } = settings;
      return raceSignal(signal, async () => {
        const result = await guarded(context, () => run(name, ask, settings));
        // Too late: whoever asked has the reason of the abort.
        if (signal?.aborted) zero(...result.bytes);
        return result;
      });
    },
    async close() {
      if (closed) return;
      closed = true;
      const all = growing === undefined ? lanes : [...lanes, growing];
      await Promise.all(all.map((lane) => lane.process?.retire()));
      if (pin !== undefined) zero(pin);
    },
  };
}

/**
 * How often a session is opened anew: SoftHSM fails now and then while another process opens the same token. A login is repeated
 * once, since a token may count it.
 */
const openings = (failure: unknown): number => {
  const method = failure instanceof ModuleFailure ? failure.failure.method : undefined;
  return method === undefined || method === "C_Login" ? 1 : 3;
};

/** SoftHSM fails now and then when several processes log in at once; and a session that refused a ciphertext is good. */
const unclear = (failure: Failure, step: CallName): { reaction?: Reaction } => {
  if (step === "login") return { reaction: "restart" };
  return isBadCiphertext(failure, step) ? {} : { reaction: "retire" };
};

const NO_PROBES: ProbeResults = { secp256k1: false, oaepSha256: false };

const pinMissing = (): CryptoError =>
  fail("ERR_ACCESS_DENIED", "The token wants a PIN and none is set", {
    hint: "Set LANGO_PKCS11_PIN, or name a file that holds it: LANGO_PKCS11_PIN_FILE for the command line, pinSource in code",
  });
