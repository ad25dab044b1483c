import { CryptoError } from "@lango/crypto-core";

/** The parts of a KMS ARN that decide where a key is. */
export interface KeyArn {
  readonly partition: string;
  readonly region: string;
  readonly account: string;
  /** `key/ID` or `alias/NAME`. */
  readonly resource: string;
}

const ARN = /^arn:([a-z0-9-]+):kms:([a-z0-9-]+):(\d{12}):((?:key|alias)\/[A-Za-z0-9/_-]+)$/;
const KEY_ID =
  /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/;
const ALIAS = /^alias\/[A-Za-z0-9/_-]{1,250}$/;
const MULTI_REGION = "key/mrk-";

/** Takes the ARN of a key or an alias apart; `undefined` for anything else. */
export function parseArn(text: string): KeyArn | undefined {
  const [, partition, region, account, resource] = ARN.exec(text) ?? [];
  return partition && region && account && resource
    ? { partition, region, account, resource }
    : undefined;
}

/**
 * What to send to the service of a region for a key id of a request: an ARN or a key id as it is, and any other name as an
 * alias. A multi-Region key (`mrk-`) of another region is named as its replica in this one, since the replicas of one
 * key differ by nothing but their region.
 *
 * @throws {@link CryptoError} `ERR_KEY_NOT_FOUND` for an ARN of another region, and for what is no name of a key: the
 *   configuration alone decides which region is asked.
 */
export function keyIdFor(region: string, keyId: string): string {
  if (KEY_ID.test(keyId)) return keyId;
  if (!keyId.startsWith("arn:")) {
    const alias = aliasOf(keyId);
    if (alias !== undefined) return alias;
    throw notFound(keyId, "It is no key id, alias or ARN of AWS KMS");
  }
  const arn = parseArn(keyId);
  if (arn === undefined) throw notFound(keyId, "It is no ARN of a KMS key or alias");
  if (arn.region === region) return keyId;
  if (arn.resource.startsWith(MULTI_REGION)) return formatArn({ ...arn, region });
  throw notFound(keyId, `It is in ${arn.region}; this provider is for ${region}`);
}

/** `alias/notes` for `notes` and for itself; `undefined` for what can be no alias. */
export function aliasOf(name: string): string | undefined {
  const alias = name.startsWith("alias/") ? name : `alias/${name}`;
  return ALIAS.test(alias) ? alias : undefined;
}

/** Tells whether a key id names one key for ever, as an alias does not. */
export function isKeyName(keyId: string): boolean {
  return KEY_ID.test(keyId) || parseArn(keyId)?.resource.startsWith("key/") === true;
}

/** Tells whether two names, each an ARN or a key id, are of one key; an ARN tells more than a key id, and has to agree in full. */
export function isSameKey(one: string, other: string): boolean {
  const resourceOf = (name: string): string => parseArn(name)?.resource ?? `key/${name}`;
  const bothArns = one.startsWith("arn:") && other.startsWith("arn:");
  return one === other || (!bothArns && resourceOf(one) === resourceOf(other));
}

function formatArn({ partition, region, account, resource }: KeyArn): string {
  return `arn:${partition}:kms:${region}:${account}:${resource}`;
}

function notFound(keyId: string, why: string): CryptoError {
  return new CryptoError("ERR_KEY_NOT_FOUND", `No such key: ${why}`, {
    context: { provider: "aws-kms", keyId },
  });
}
