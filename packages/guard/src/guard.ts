import { createHmac } from "node:crypto";
import { Writable } from "node:stream";
import { type Bytes, CryptoError, isBytes, raceSignal, randomBytesFresh } from "@lango/crypto-core";
import type { Action, Broker, JsonObject, JsonValue, Requester } from "./approvals/types.ts";
import { isDetectorFailure, type PiiDetector } from "./pii/detector.ts";
import type { PiiRedactor } from "./pii/redactor.ts";
import { formatReference } from "./references/parse.ts";
import { targetName } from "./references/policy.ts";
import type { ReferenceResolver, ReferenceUse } from "./references/resolve.ts";
import type { Scanner } from "./scanner/scanner.ts";
import type { Finding, SecretValue, UnmaskedReason } from "./scanner/types.ts";
import { copyArguments } from "./tools/arguments.ts";
import { cleanAndDetect } from "./tools/clean-and-detect.ts";
import { cleanThrown } from "./tools/clean-error.ts";
import { endUnread } from "./tools/clean-streams.ts";
import { cleanValue } from "./tools/clean-value.ts";
import type {
  ApprovalNeeds,
  GuardedTool,
  ToolContext,
  ToolDefinition,
  ToolHandler,
} from "./tools/definition.ts";
import {
  createByteFilter,
  createTextFilter,
  detectText,
  type FilterParts,
  filterText,
  type TextFilter,
} from "./tools/filter.ts";
import { resolveParameters } from "./tools/resolve-parameters.ts";

export interface GuardOptions {
  /** Knows every secret; belongs to the caller, who closes it. */
  readonly scanner: Scanner;
  /** Default: personal data is let through. */
  readonly redactor?: PiiRedactor;
  /** Looks for personal data as well, in results, errors and chat text; logs cannot wait for it. Default: none. */
  readonly detector?: PiiDetector;
  /** Decides about every call. */
  readonly broker: Broker;
  /** Keeps the values of references. */
  readonly resolver: ReferenceResolver;
  /** The session of the agent that this guard stands before; approvals, handles and the audit name it. */
  readonly session: string;
  /** Who asks, as far as the one that composes knows. */
  readonly requester?: Requester;
  /** Called for each secret that was masked on its way out. */
  readonly onFinding?: (finding: Finding, exit: Exit) => void;
}

/** Where something passes: the result or error of a tool, chat text to the agent and from it, a log. */
export type Exit = "result" | "error" | "text in" | "text out" | "log";

/** Which way chat text goes: from a person to the agent, or from the agent. */
export type Direction = "in" | "out";

/** Stands between one agent and everything that it uses. */
export interface Guard {
  readonly session: string;
  /** Puts the guard around a tool of anyone. */
  wrapTool(definition: ToolDefinition, handler: ToolHandler): GuardedTool;
  /**
   * Masks chat text: whole, or as a stream of chunks that may cut a secret anywhere. With a redactor a stream holds each line
   * back until its end.
   */
  text(direction: Direction): ChatText;
  /**
   * A destination for logs, for `new Console(…)`, pino and others. What is written comes out at `write` masked; what may be the
   * beginning of a secret waits for the next line, or the end.
   */
  log(write: (masked: Bytes) => void): Writable;
  /** Masks one message that is not part of a stream, e.g. for a log of whole lines. */
  mask(text: string): string;
  /** Makes a value known to the scanner. @returns Why it is not masked, if it is not. */
  learn(secret: SecretValue): Promise<UnmaskedReason | undefined>;
}

export interface ChatText {
  /** A whole text. @throws {@link CryptoError} `ERR_UNSUPPORTED` with a detector, which takes time: use `redact`. */
  mask(text: string): string;
  /** A whole text, with all that the guard has. Throws what the detector throws. */
  redact(text: string, signal?: AbortSignal): Promise<string>;
  /** A stream that the caller reads. @throws {@link CryptoError} `ERR_UNSUPPORTED` with a detector: use `transform`. */
  stream(): TextFilter;
  /** A web stream of text. */
  transform(): TransformStream<string, string>;
}

/** Makes a guard. Nothing is opened or asked before a tool is called. */
export const createGuard = (options: GuardOptions): Guard => {
  const { scanner, redactor, detector, session, onFinding } = options;
  const partsFor = (exit: Exit, redacts = true): FilterParts => ({
    scanner,
    redactor: redacts ? redactor : undefined,
    detector: redacts && exit !== "log" ? detector : undefined,
    ...(onFinding !== undefined && { onFinding: (finding) => onFinding(finding, exit) }),
  });
  const learn: Guard["learn"] = async (secret) => (await scanner.set([secret]))[0]?.reason;
  const resolver = learning(options.resolver, scanner, learn);
  // Of this session alone: from a tag nobody else can tell what it was made of.
  const tagKey = randomBytesFresh(32);

  return {
    session,
    learn,
    mask: (text) => filterText(partsFor("log"), text),
    wrapTool(definition, handler) {
      const fresh = (exit: Exit, signal: AbortSignal | undefined, redacts = true) => ({
        ...{ parts: partsFor(exit, redacts), signal, seen: new Map<object, unknown>(), depth: 0 },
      });
      return {
        definition,
        async call(given, { signal } = {}) {
          try {
            signal?.throwIfAborted();
            const args = copyArguments(given);
            definition.check?.(args);
            const target = definition.target?.(args) ?? { kind: "tool", name: definition.name };
            const approval = createApproval(options, definition, args, tagKey, signal);
            const approved = await approval.ofCall();
            const resolved = await resolveParameters(args, {
              tool: definition.name,
              parameters: definition.references ?? [],
              ...{ target, session, resolver, signal },
              approve: approval.ofUse,
            });
            // A value may be part of what says where it goes: then that must be where its owner lets it go.
            const now = definition.target?.(resolved) ?? target;
            if (targetName(now) !== targetName(target)) throw movedTarget();
            const context: ToolContext = {
              ...{ session, ...approved },
              signal: signal ?? new AbortController().signal,
            };
            const result = await raceSignal(signal, async () => {
              const given = await handler(resolved, context);
              // Nobody waits for it any more.
              if (signal?.aborted === true) endUnread(given);
              return given;
            });
            return await cleanAndDetect(result, fresh("result", signal, definition.exact !== true));
          } catch (error) {
            if (signal?.aborted === true && error === signal.reason) throw error;
            if (isDetectorFailure(error)) throw error;
            throw await cleanAndDetect(error, fresh("error", signal), cleanThrown);
          }
        },
      };
    },
    text: (direction) => {
      const parts = partsFor(`text ${direction}`);
      return {
        mask: (text) => filterText(withoutDetector(parts), text),
        redact: async (text, signal) =>
          (await cleanAndDetect(text, { parts, signal, seen: new Map(), depth: 0 })) as string,
        stream: () => createTextFilter(withoutDetector(parts)),
        transform: () => textTransform(parts),
      };
    },
    log: (write) => logStream(partsFor("log"), write),
  };
};

const movedTarget = (): CryptoError =>
  new CryptoError("ERR_DENIED", "The value of a reference would change where the tool sends it");

/** The approvals of one call: of the tool itself, and of each reference whose secret does not list the target. */
const createApproval = (
  { broker, session, requester, scanner }: GuardOptions,
  definition: ToolDefinition,
  args: JsonObject,
  tagKey: Uint8Array,
  signal: AbortSignal | undefined,
): { ofCall(): Promise<Approved>; ofUse(use: ReferenceUse): Promise<boolean> } => {
  const decide = async (about: ApprovalNeeds): Promise<Approved> => {
    const { safety = definition.safety, required = false, ...more } = about;
    const action: Action = {
      ...{ session, tool: definition.name },
      arguments: shown(args, definition.withheld ?? [], scanner, tagKey),
      ...more,
    };
    const { by, via } = await broker.decide(action, {
      ...{ safety, required },
      ...(requester !== undefined && { requester }),
      ...(signal !== undefined && { signal }),
    });
    return { approvedBy: by ?? via, safety };
  };
  return {
    ofCall: async () => decide((await definition.approval?.(args)) ?? {}),
    async ofUse({ reference, target }) {
      // Where a secret goes that its owner has listed nowhere is for an approver, however harmless the tool is.
      const secret = reference.kind === "secret" ? reference.name : formatReference(reference);
      const destination = targetName(target);
      await decide({ secret, destination, safety: "dangerous", required: true });
      return true;
    },
  };
};

/**
 * The arguments as an approval shows and commits to them: with secrets masked, and a tag in place of what is withheld, so that a
 * grant for the same action again is not one for another value.
 */
const shown = (
  args: JsonObject,
  withheld: readonly string[],
  scanner: Scanner,
  tagKey: Uint8Array,
): JsonObject => {
  const cleaning = { parts: { scanner }, seen: new Map<object, unknown>(), depth: 0 };
  const visible = Object.entries(args).map(([name, value]) => [
    name,
    withheld.includes(name) ? withheldText(value, tagKey) : value,
  ]);
  return cleanValue(Object.fromEntries(visible), cleaning) as JsonObject;
};

const withheldText = (value: JsonValue | undefined, tagKey: Uint8Array): string => {
  const text = JSON.stringify(value);
  const tag = createHmac("sha256", tagKey).update(text).digest("hex").slice(0, 16);
  return `[withheld, ${text.length} characters, tag ${tag}]`;
};

type Approved = Pick<ToolContext, "approvedBy" | "safety">;

/** A resolver whose values are all known to the scanner before a tool gets them, also those that are newer than it. */
const learning = (
  resolver: ReferenceResolver,
  scanner: Scanner,
  learn: Guard["learn"],
): ReferenceResolver => ({
  policyOf: (use) => resolver.policyOf(use),
  async open(use, callOptions) {
    const value = await resolver.open(use, callOptions);
    try {
      // Found as a whole: a part of it may be another secret, perhaps one that an agent stored for that.
      if (!scanner.scan(value).findings.some(({ length }) => length === value.length)) {
        const { reference } = use;
        const name = reference.kind === "secret" ? reference.name : `decrypt:${reference.id}`;
        await learn({ name, value });
      }
      return value;
    } catch (error) {
      value.fill(0);
      throw error;
    }
  },
});

const withoutDetector = (parts: FilterParts): FilterParts => {
  if (parts.detector === undefined) return parts;
  throw new CryptoError("ERR_UNSUPPORTED", "A detector of personal data cannot answer at once", {
    context: { hint: "Use redact for a whole text and transform for a stream" },
  });
};

const textTransform = (parts: FilterParts): TransformStream<string, string> => {
  const filter = createTextFilter(parts);
  const give = async (
    controller: TransformStreamDefaultController<string>,
    filtered: string,
  ): Promise<void> => {
    const text = await detectText(parts, filtered);
    if (text !== "") controller.enqueue(text);
  };
  return new TransformStream({
    transform: (chunk, controller) => give(controller, filter.write(chunk)),
    flush: (controller) => give(controller, filter.end()),
  });
};

const logStream = (parts: FilterParts, write: (masked: Bytes) => void): Writable => {
  const filter = createByteFilter(parts);
  const give = (done: (error?: Error | null) => void, next: () => Uint8Array): void => {
    try {
      const masked = next();
      if (masked.length > 0) write(new Uint8Array(masked));
      done();
    } catch (error) {
      done(error as Error);
    }
  };
  return new Writable({
    decodeStrings: true,
    write(chunk: Uint8Array, _encoding, done) {
      give(done, () => filter.write(isBytes(chunk) ? chunk : new Uint8Array()));
    },
    final(done) {
      give(done, () => filter.end());
    },
  });
};
