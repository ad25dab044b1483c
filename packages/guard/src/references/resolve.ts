import { type Bytes, CryptoError, concat, isCryptoError, utf8, zero } from "@lango/crypto-core";
import { formatReference, parseTemplate, type Reference, type TemplatePart } from "./parse.ts";
import { judgePlainForm, type SecretPolicy, type Target, type Verdict } from "./policy.ts";

/** A place that is declared to take secrets. References anywhere else are text. */
export type Sink =
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "parameter"; readonly tool: string; readonly parameter: string }
  | { readonly kind: "header"; readonly header: string };

/** Who uses a reference, where, and for what. An approval and an audit row are about this. */
export interface ReferenceUse {
  readonly reference: Reference;
  readonly sink: Sink;
  readonly target: Target;
  /** The session of the agent; absent for an owner. */
  readonly session?: string;
}

/** What keeps the values: the vault. */
export interface ReferenceResolver {
  /**
   * What the policy of the value is, without opening it; `undefined` when this use may not know of it: no such name, a
   * reserved one, a handle that is unknown, spent, too old or bound to another use.
   */
  policyOf(use: ReferenceUse): Promise<SecretPolicy | undefined>;
  /**
   * Gives the value. A handle is consumed, and the audit row committed, before it does.
   *
   * @throws {@link CryptoError} `ERR_NOT_FOUND` or `ERR_DENIED` when that has changed since `policyOf`.
   */
  open(use: ReferenceUse, options: { readonly signal?: AbortSignal }): Promise<Bytes>;
}

export interface ResolveOptions {
  /** A text with references, or bytes; what is no reference is kept byte for byte. */
  readonly template: string | Uint8Array;
  readonly sink: Sink;
  readonly target: Target;
  readonly session?: string;
  readonly resolver: ReferenceResolver;
  /**
   * Asks a person about one use; resolves to their decision. Absent: what needs an approval is denied at once.
   */
  readonly approve?: (use: ReferenceUse) => Promise<boolean>;
  readonly signal?: AbortSignal;
}

/**
 * Puts values in place of references, for one declared sink. All references are checked and approved before the first is
 * opened. Each is opened once, and what comes out is not searched for references again.
 *
 * @returns The bytes, which the caller zeroes when they are used. UTF-8 where the template is a string.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a malformed reference, and for a value that the sink cannot hold: a NUL
 *   in the environment or a header, a line break in a header. `ERR_DENIED` with one and the same message for a name that is
 *   unknown and one that may not be used here; with another when a person said no or nobody could be asked. Errors of the
 *   resolver.
 */
export async function resolveReferences(options: ResolveOptions): Promise<Bytes> {
  const { template, sink, target, session, resolver, signal } = options;
  signal?.throwIfAborted();
  const isText = typeof template === "string";
  const parts = parseTemplate(isText ? template : latin1(template));
  const uses = new Map<string, ReferenceUse>();
  for (const part of parts) {
    if (typeof part === "string") continue;
    const use = { reference: part, sink, target, ...(session !== undefined && { session }) };
    uses.set(formatReference(part), use);
  }
  const listed = new Set<ReferenceUse>();
  for (const use of uses.values()) if ((await permit(use, options)) === "listed") listed.add(use);
  // While a person was asked about one, the owner may have taken another back.
  for (const use of uses.values()) {
    if ((await judge(use, resolver)) !== "listed" && listed.has(use)) throw refused();
  }

  const values = new Map<string, Bytes>();
  try {
    for (const [written, use] of uses) {
      signal?.throwIfAborted();
      const value = await openValue(resolver, use, signal);
      values.set(written, value);
      checkFits(sink, value);
    }
    return concat(...parts.map((part) => bytesOf(part, values, isText)));
  } finally {
    zero(...values.values());
  }
}

type Permitted = Exclude<Verdict, "forbidden">;

const judge = async (use: ReferenceUse, resolver: ReferenceResolver): Promise<Permitted> => {
  const policy = await resolver.policyOf(use);
  if (policy === undefined) throw refused();
  // A handle was made for this use after an approval; the plain form may be written by anyone.
  if (use.reference.kind === "secret" && use.reference.handle !== undefined) return "listed";
  const verdict = judgePlainForm(policy, use.target);
  if (verdict === "forbidden") throw refused();
  return verdict;
};

const permit = async (use: ReferenceUse, options: ResolveOptions): Promise<Permitted> => {
  options.signal?.throwIfAborted();
  const verdict = await judge(use, options.resolver);
  if (verdict === "listed") return verdict;
  if (options.approve === undefined) {
    throw new CryptoError(
      "ERR_DENIED",
      "The use of a secret needs an approval, and nobody can be asked",
    );
  }
  if (!(await options.approve(use))) {
    throw new CryptoError("ERR_DENIED", "The use of a secret was not approved");
  }
  return verdict;
};

const openValue = async (
  resolver: ReferenceResolver,
  use: ReferenceUse,
  signal: AbortSignal | undefined,
): Promise<Bytes> => {
  try {
    return await resolver.open(use, signal === undefined ? {} : { signal });
  } catch (error) {
    const isRefusal =
      isCryptoError(error) && (error.code === "ERR_NOT_FOUND" || error.code === "ERR_DENIED");
    throw isRefusal ? refused() : error;
  }
};

/** One error without a name in it, so that nobody learns by trying which names exist. */
const refused = (): CryptoError =>
  new CryptoError("ERR_DENIED", "A reference names no secret that may be used here", {
    context: {
      hint: "See which secrets there are, and the destinations and commands listed on them",
    },
  });

/** A value must not end a variable or begin another header. */
const checkFits = (sink: Sink, value: Bytes): void => {
  const forbidden = { environment: [0x00], header: [0x00, 0x0a, 0x0d], file: [], parameter: [] }[
    sink.kind
  ];
  if (!forbidden.some((byte) => value.includes(byte))) return;
  const what =
    sink.kind === "header" ? "a header: it has a NUL or a line break" : "a variable: it has a NUL";
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    `The value of a reference does not fit into ${what}`,
  );
};

const bytesOf = (
  part: TemplatePart,
  values: ReadonlyMap<string, Bytes>,
  isText: boolean,
): Uint8Array => {
  if (typeof part !== "string") return values.get(formatReference(part))!;
  return isText ? utf8(part) : Uint8Array.from(part, (char) => char.charCodeAt(0));
};

/** One character for each byte, so that a template of any bytes can be parsed as a text. */
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
