import { randomBytes } from "node:crypto";
import { decrypt, encrypt, publicJwk, sign, verify } from "./compute.ts";
import type { KeyStore, NewKey, Version } from "./key-store.ts";
import { badParameter, ServiceError } from "./service-error.ts";

export interface RouteRequest {
  readonly store: KeyStore;
  readonly url: string;
  readonly managedHsm: boolean;
  readonly method: string;
  readonly pathname: string;
  readonly searchParams: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
}

type Json = Record<string, unknown>;

/** Keys on a page of a list: few, so that the tests turn pages. */
const PAGE = 3;
const API_VERSIONS = new Set(["7.4", "7.5", "7.6", "2025-07-01"]);
/** Names in paths and in key_ops. */
const OPERATIONS: Readonly<Record<string, string>> = {
  encrypt: "encrypt",
  decrypt: "decrypt",
  wrapkey: "wrapKey",
  unwrapkey: "unwrapKey",
  sign: "sign",
  verify: "verify",
};
/** Outside of their time keys still do these. */
const ANY_TIME = new Set(["decrypt", "unwrapKey", "verify"]);

/** Answers one request to the vault, or throws a `ServiceError`; `undefined` is an answer without a body. */
export async function route(request: RouteRequest): Promise<Json | undefined> {
  const { store, managedHsm, method, pathname, searchParams, body } = request;
  if (!API_VERSIONS.has(searchParams.get("api-version") ?? "")) throw badParameter("api-version");
  const [, collection, name = "", second, third] = pathname.split("/");
  if (collection === "rng" && method === "POST" && managedHsm) return random(body);
  if (collection === "deletedkeys") return routeDeleted(request, name, second);
  if (collection !== "keys") throw new ServiceError(404, "NotFound", "No such path");
  const bundle = (version: Version): Json => bundleOf(request, name, version);
  switch (`${method} ${pathname.split("/").length}`) {
    case "GET 2":
      return page(request, "/keys", store.names(), (each) =>
        itemOf(request, each, store.get(each)),
      );
    case "GET 3":
      return bundle(store.get(name));
    case "DELETE 3":
      return deletedBundleOf(request, name, store.delete(name));
    case "GET 4":
      if (second !== "versions") return bundle(store.get(name, orLatest(second)));
      return page(
        request,
        pathname,
        // By name, which is random: not in the order of creation.
        store.versions(name).toSorted((a, b) => (a.version < b.version ? -1 : 1)),
        (each) => itemOf(request, name, each, each.version),
      );
    case "PATCH 4":
      return bundle(store.update(name, orLatest(second), body));
    case "POST 4":
      if (second === "create") return bundle(await store.create(name, body as unknown as NewKey));
      if (second === "rotate") return bundle(await store.rotate(name));
      break;
    case "POST 5":
      if (second && third) return operate(request, name, store.get(name, second), third);
  }
  throw new ServiceError(405, "MethodNotAllowed", `${method} ${pathname}`);
}

function routeDeleted(request: RouteRequest, name: string, action?: string): Json | undefined {
  const { store, method } = request;
  switch ([method, name && "NAME", action].filter(Boolean).join(" ")) {
    case "GET":
      return page(request, "/deletedkeys", store.deletedNames(), (each) => {
        const { key, ...deleted } = deletedBundleOf(request, each, store.getDeleted(each));
        return { ...deleted, kid: `${request.url}/keys/${each}` };
      });
    case "GET NAME":
      return deletedBundleOf(request, name, store.getDeleted(name));
    case "POST NAME recover":
      return bundleOf(request, name, store.recover(name));
    case "DELETE NAME":
      store.purge(name);
      return undefined;
    default:
      throw new ServiceError(405, "MethodNotAllowed", `${method} of deleted keys`);
  }
}

const orLatest = (version: string | undefined): string | undefined => version || undefined;

function operate({ url, body }: RouteRequest, name: string, key: Version, path: string): Json {
  const operation = OPERATIONS[path];
  if (operation === undefined) throw badParameter(`Operation ${path}`);
  checkMay(key, operation);
  const { alg, value, digest } = body;
  const kid = `${url}/keys/${name}/${key.version}`;
  if (typeof alg !== "string") throw badParameter("Property alg has an invalid value");
  switch (operation) {
    case "encrypt":
    case "wrapKey":
      return { kid, value: encrypt(key, alg, bytes(value)).toString("base64url") };
    case "decrypt":
    case "unwrapKey":
      return { kid, value: decrypt(key, alg, bytes(value)).toString("base64url") };
    case "sign":
      return { kid, value: sign(key, alg, bytes(value)).toString("base64url") };
    default:
      return { value: verify(key, alg, bytes(digest), bytes(value)) };
  }
}

function checkMay(
  { keyOps, attributes: { enabled, nbf = 0, exp = Infinity } }: Version,
  operation: string,
): void {
  const forbidden = (message: string, inner: string) =>
    new ServiceError(403, "Forbidden", `Operation ${operation} is not ${message}.`, inner);
  if (!enabled) throw forbidden("allowed on a disabled key", "KeyDisabled");
  if (!keyOps.includes(operation))
    throw forbidden("permitted on this key", "KeyOperationForbidden");
  if (ANY_TIME.has(operation)) return;
  const now = Date.now() / 1000;
  if (now < nbf) throw forbidden("allowed on a key that is not yet valid", "KeyNotYetValid");
  if (now >= exp) throw forbidden("allowed on an expired key", "KeyExpired");
}

/** Base64url without padding (trap 8), and nothing else. */
function bytes(value: unknown): Buffer {
  if (typeof value !== "string" || !/^[\w-]*$/.test(value)) {
    throw badParameter("Property value has an invalid value");
  }
  return Buffer.from(value, "base64url");
}

function random({ count }: Readonly<Record<string, unknown>>): Json {
  if (typeof count !== "number" || count < 1 || count > 128) throw badParameter("count");
  return { value: randomBytes(count).toString("base64url") };
}

function bundleOf({ url }: RouteRequest, name: string, key: Version): Json {
  const kid = `${url}/keys/${name}/${key.version}`;
  return { key: { kid, key_ops: key.keyOps, ...publicJwk(key) }, attributes: key.attributes };
}

/** A vault with soft delete, which all are. */
function deletedBundleOf(request: RouteRequest, name: string, key: Version): Json {
  const now = Math.floor(Date.now() / 1000);
  return {
    ...bundleOf(request, name, key),
    recoveryId: `${request.url}/deletedkeys/${name}`,
    deletedDate: now,
    scheduledPurgeDate: now + 90 * 86_400,
  };
}

function itemOf({ url }: RouteRequest, name: string, key: Version, version?: string): Json {
  const kid = [`${url}/keys/${name}`, ...(version === undefined ? [] : [version])].join("/");
  return { kid, attributes: key.attributes };
}

function page<T>(
  { url, searchParams }: RouteRequest,
  path: string,
  items: readonly T[],
  show: (item: T) => Json,
): Json {
  const from = Number(searchParams.get("$skiptoken") ?? 0);
  const version = searchParams.get("api-version");
  const more = from + PAGE < items.length;
  const nextLink = `${url}${path}?api-version=${version}&$skiptoken=${from + PAGE}`;
  return { value: items.slice(from, from + PAGE).map(show), nextLink: more ? nextLink : null };
}
