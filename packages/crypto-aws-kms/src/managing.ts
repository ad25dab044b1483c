import { setTimeout as sleep } from "node:timers/promises";
import {
  type CreateKeyRequest,
  CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
  isCryptoError,
  type KeyDescription,
  type Operation,
} from "@lango/crypto-core";
import { KEY_SPECS, KEY_USAGES } from "./algorithms.ts";
import { present } from "./answers.ts";
import { isNamed, mapError } from "./errors.ts";
import { aliasOf, isKeyName } from "./key-id.ts";
import { type Keys, keyOf } from "./keys.ts";
import type { Session } from "./session.ts";

type Managing = Required<
  Pick<CryptoProvider, "createKey" | "rotateKey" | "describeKey" | "listKeys">
>;

/** KMS rotates in its own time; how long to wait for the new material. */
const ROTATION_POLLS_MS = [50, 100, 200, 400, 800, 1600];
/** The shortest time that KMS offers. */
const DELETION_DAYS = 7;

/** CreateKey, RotateKeyOnDemand, DescribeKey and ListKeys. */
export function createManaging(session: Session, keys: Keys): Managing {
  /** A key that its maker does not hear of would be paid for and never found: it goes. */
  const discard = async (keyId: string): Promise<string> => {
    try {
      await session.send("ScheduleKeyDeletion", {
        KeyId: keyId,
        PendingWindowInDays: DELETION_DAYS,
      });
      return `The key ${keyId} made for it is scheduled for deletion`;
    } catch (error) {
      const { code } = mapError(error, "createKey");
      return `The key ${keyId} made for it is left over (${code}): delete it`;
    }
  };

  const create = async (request: CreateKeyRequest, signal: AbortSignal | undefined) => {
    const { algorithm, usage, keyId } = request;
    const alias = keyId === undefined ? undefined : newAlias(keyId);
    if (alias !== undefined && (await exists(alias, signal))) throw taken(alias);
    signal?.throwIfAborted();
    // Without the signal from here on: a request that is cut off may have made a key that nobody knows of.
    const { KeyMetadata } = await session.send("CreateKey", {
      KeySpec: KEY_SPECS[algorithm],
      KeyUsage: KEY_USAGES[usage],
      Description: "Made by Lango",
    });
    const { description } = keyOf(KeyMetadata, alias ?? "");
    try {
      signal?.throwIfAborted();
      if (alias === undefined) return description;
      await session.send("CreateAlias", { AliasName: alias, TargetKeyId: description.keyId });
    } catch (error) {
      const outcome = await discard(description.keyId);
      if (alias !== undefined && isNamed(error, "AlreadyExistsException")) {
        throw taken(alias, outcome);
      }
      const { code, message, context, retryable } = mapError(error, "createKey", alias);
      throw new CryptoError(code, `${message}. ${outcome}`, { context, retryable });
    }
    return description;
  };

  const exists = async (alias: string, signal: AbortSignal | undefined): Promise<boolean> => {
    try {
      await session.send("DescribeKey", { KeyId: alias }, signal);
      return true;
    } catch (error) {
      if (isNamed(error, "NotFoundException")) return false;
      throw error;
    }
  };

  return {
    createKey: (request) =>
      session.run("createKey", request, async () => {
        const { algorithm, usage } = request;
        if (algorithm === "ed25519" || (algorithm.startsWith("rsa-") && usage === "encryption")) {
          const message = `This provider does not use ${algorithm} keys for ${usage}`;
          throw fail("ERR_UNSUPPORTED", message, "createKey");
        }
        return await create(request, request.signal);
      }),
    rotateKey: (request) =>
      session.run("rotateKey", request, async () => {
        const { keyId, signal } = request;
        const { description: before } = await keys.describe(keyId, signal);
        if (before.algorithm !== "aes-256-gcm") {
          const message = `AWS KMS does not rotate ${before.algorithm} keys`;
          const hint = "Create a new key, sign with it, and keep the old one for verifying";
          throw fail("ERR_UNSUPPORTED", message, "rotateKey", before.keyId, hint);
        }
        await session.send("RotateKeyOnDemand", { KeyId: before.keyId }, signal);
        keys.forget();
        for (const pause of ROTATION_POLLS_MS) {
          const { description } = await keys.describe(before.keyId, signal);
          if (description.keyVersion !== before.keyVersion) {
            // Again: a call meanwhile may have remembered the old version.
            keys.forget();
            return description;
          }
          await sleep(pause, undefined, { signal });
        }
        const message = `AWS KMS has not finished the rotation of ${before.keyId} yet`;
        const hint = "It ends by itself: do not rotate again, look with describeKey";
        throw fail("ERR_BUSY", message, "rotateKey", before.keyId, hint);
      }),
    describeKey: (request) =>
      session.run(
        "describeKey",
        request,
        async () => (await keys.describe(request.keyId, request.signal)).description,
      ),
    async *listKeys(request) {
      let marker: string | undefined;
      do {
        const page = await session.run("listKeys", request, () =>
          session.send("ListKeys", marker === undefined ? {} : { Marker: marker }, request.signal),
        );
        for (const { KeyArn } of page.Keys ?? []) {
          const key = await session.run("listKeys", request, () =>
            describeListed(keys, present(KeyArn, "listKeys", "ARN"), request.signal),
          );
          if (key !== undefined) yield key;
        }
        marker =
          page.Truncated === true ? present(page.NextMarker, "listKeys", "marker") : undefined;
      } while (marker !== undefined);
    },
  };
}

// A list names keys of the whole account: some closed to the caller, some gone meanwhile, some of a kind that is not ours.
const NOT_LISTED: ReadonlySet<CryptoErrorCode> = new Set([
  "ERR_ACCESS_DENIED",
  "ERR_KEY_NOT_FOUND",
  "ERR_UNSUPPORTED",
]);

async function describeListed(
  keys: Keys,
  arn: string,
  signal: AbortSignal | undefined,
): Promise<KeyDescription | undefined> {
  try {
    return (await keys.describe(arn, signal)).description;
  } catch (error) {
    const mapped = isCryptoError(error) ? error : mapError(error, "listKeys", arn);
    if (NOT_LISTED.has(mapped.code)) return undefined;
    throw mapped;
  }
}

/** The alias of a key to be made. AWS keeps `alias/aws/` for its own keys; what reads as a key id would never be found again. */
function newAlias(keyId: string): string {
  const alias = isKeyName(keyId) ? undefined : aliasOf(keyId);
  if (alias !== undefined && !alias.startsWith("alias/aws/")) return alias;
  const message = "A new key is named by an alias, such as alias/notes";
  throw fail("ERR_INVALID_ARGUMENT", message, "createKey");
}

function taken(alias: string, outcome?: string): CryptoError {
  const message = `The name ${alias} is in use${outcome === undefined ? "" : `. ${outcome}`}`;
  return fail("ERR_CONFLICT", message, "createKey", alias);
}

function fail(
  code: CryptoErrorCode,
  message: string,
  operation: Operation,
  keyId?: string,
  hint?: string,
): CryptoError {
  const context = {
    provider: "aws-kms",
    operation,
    ...(keyId !== undefined && { keyId }),
    ...(hint !== undefined && { hint }),
  };
  return new CryptoError(code, message, {
    context,
    ...(code === "ERR_BUSY" && { retryable: false }),
  });
}
