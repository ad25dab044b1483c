import type { CallOptions, KeyAlgorithm, KeyUsage, Operation } from "@lango/crypto-core";
import { algorithmOf, usagesOf } from "./algorithms.ts";
import { CKO } from "./constants.ts";
import { fail } from "./errors.ts";
import type { OpenToken, Pool } from "./pool.ts";
import type { KeyFacts, ObjectRef } from "./protocol.ts";
import { namesToken } from "./token-choice.ts";
import { formatKeyId, type KeyName, parseKeyId } from "./uri.ts";

/** A key of the token, found and ready for use. */
export interface FoundKey {
  readonly facts: KeyFacts;
  readonly algorithm: KeyAlgorithm;
  /** The one id under which results name it. */
  readonly keyId: string;
  /** JSON of the reference by which the child finds it: the private or secret key. */
  readonly ref: string;
  /** The public half of a pair. */
  readonly publicRef: string;
}

/** A key of the token, whatever it is. */
export type AnyKey = Omit<FoundKey, "algorithm"> & { readonly algorithm: KeyAlgorithm | undefined };

export interface Keys {
  /**
   * The key that an id names and an operation can use.
   *
   * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`, `ERR_KEY_NOT_FOUND`, `ERR_KEY_USAGE`, `ERR_CONFLICT`,
   *   `ERR_UNSUPPORTED`, and what the pool throws.
   */
  find(operation: Operation, usage: KeyUsage | undefined, request: KeyCall): Promise<FoundKey>;
  /** Every key that has a place here. */
  list(options: CallOptions): Promise<FoundKey[]>;
  /** Keys of one class with a label or an id. */
  search(name: KeyName, classes: readonly number[], options: CallOptions): Promise<AnyKey[]>;
  describe(facts: KeyFacts, token: OpenToken): AnyKey;
  /** Forgets what it found under an id: the token no longer has it. */
  forget(keyId: string): void;
}

export type KeyCall = CallOptions & { readonly keyId: string };

/** A key that was found is good for this long. A second key of its name shows after it. */
const GOOD_FOR_MS = 30_000;
const MAX_REMEMBERED = 256;
const CLASSES = { private: CKO.privateKey, "secret-key": CKO.secretKey } as const;

export function createKeys(pool: Pool): Keys {
  const remembered = new Map<string, { readonly key: FoundKey; readonly at: number }>();

  const search: Keys["search"] = async (name, classes, { signal }) => {
    const context = { operation: "describeKey" };
    const ask = {
      classes: [...classes],
      ...(name.id !== undefined && { id: name.id }),
      ...(name.object !== undefined && { label: name.object }),
    };
    const { answer } = await pool.call("find", ask, { context, signal });
    const token = await pool.look(context, signal);
    return answer.keys.map((facts) => describe(facts, token));
  };

  const find: Keys["find"] = async (operation, usage, request) => {
    const { keyId, signal } = request;
    const context = { operation, keyId };
    pool.check(context, signal);
    const slot = `${usage ?? ""} ${keyId}`;
    const known = remembered.get(slot);
    // Nothing is done with a key that is only described, so what is said of it has to be of now.
    if (usage !== undefined && known !== undefined && performance.now() - known.at < GOOD_FOR_MS)
      return known.key;
    const name = parseKeyId(keyId);
    const { token } = await pool.look(context, signal);
    if (!namesToken(name, token)) {
      throw fail(
        "ERR_KEY_NOT_FOUND",
        "The key id names another token than the one in use",
        context,
      );
    }
    const classes = name.type === undefined ? Object.values(CLASSES) : [CLASSES[name.type]];
    const key = choose(await search(name, classes, request), usage, context);
    remembered.delete(slot);
    remembered.set(slot, { key, at: performance.now() });
    const [oldest] = remembered.keys();
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    return key;
  };

  return {
    find,
    search,
    describe,
    async list(options) {
      const found = await search({}, Object.values(CLASSES), options);
      return found.filter(hasAlgorithm);
    },
    forget(keyId) {
      for (const slot of remembered.keys()) {
        if (slot.endsWith(` ${keyId}`)) remembered.delete(slot);
      }
    },
  };
}

const hasAlgorithm = (key: AnyKey): key is FoundKey => key.algorithm !== undefined;

function describe(facts: KeyFacts, { token }: OpenToken): AnyKey {
  const isSecret = facts.class === CKO.secretKey;
  const { id, label, keyType } = facts;
  const keyId = formatKeyId({
    token: token.label,
    serial: token.serial,
    object: label,
    id,
    type: isSecret ? "secret-key" : "private",
  });
  const names = { keyType, ...(id !== "" && { id }) };
  const refTo = (objectClass: number, extra: Partial<ObjectRef>): string =>
    JSON.stringify({ class: objectClass, ...names, ...extra } satisfies ObjectRef);
  return {
    facts,
    algorithm: algorithmOf(facts),
    keyId,
    ref: refTo(facts.class, { label }),
    // The halves of a pair share the id. Their labels may differ where there is one.
    publicRef: refTo(CKO.publicKey, id === "" ? { label } : {}),
  };
}

/** Of the keys of one name, the one of the class that the operation needs. */
function choose(
  found: readonly AnyKey[],
  usage: KeyUsage | undefined,
  context: { readonly operation: Operation; readonly keyId: string },
): FoundKey {
  if (found.length === 0) throw fail("ERR_KEY_NOT_FOUND", `No key ${context.keyId}`, context);
  const wanted = usage === undefined ? found : classFor(usage, found);
  const [key, another] = wanted;
  if (key === undefined) throw wrongUsage(context, usage);
  if (another !== undefined) {
    const ids = wanted.map(({ keyId }) => keyId).join(" and ");
    throw fail("ERR_CONFLICT", `Several keys have that name: ${ids}`, {
      ...context,
      hint: "Name the key by its id, or by type=private or type=secret-key",
    });
  }
  if (!hasAlgorithm(key)) {
    throw fail("ERR_UNSUPPORTED", `Key ${key.keyId} is of a kind that has no place here`, context);
  }
  if (usage !== undefined && !usagesOf(key.facts, key.algorithm).includes(usage)) {
    throw wrongUsage(context, usage);
  }
  return key;
}

/** Secret keys compute MACs and encrypt, private keys sign. A private RSA key decrypts where no secret key has the name. */
function classFor(usage: KeyUsage, found: readonly AnyKey[]): readonly AnyKey[] {
  const of = (objectClass: number): AnyKey[] =>
    found.filter(({ facts }) => facts.class === objectClass);
  const secret = of(CKO.secretKey);
  switch (usage) {
    case "signing":
      return of(CKO.privateKey);
    case "mac":
      return secret;
    case "encryption":
      return secret.length > 0 ? secret : of(CKO.privateKey);
  }
}

const wrongUsage = (context: { readonly keyId: string }, usage: KeyUsage | undefined): Error =>
  fail("ERR_KEY_USAGE", `Key ${context.keyId} is not for ${usage}`, context);
