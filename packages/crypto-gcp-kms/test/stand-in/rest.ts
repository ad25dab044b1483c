import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Message } from "./kms.ts";
import { readEnum } from "./protos.ts";
import { CODES, Fault } from "./resources.ts";

/** HTTP method, path and SDK method, as the `google.api.http` options of the protos say. */
const ROUTES: readonly [string, RegExp, string][] = [
  ["POST", /^\/v1\/(?<name>projects\/.+\/cryptoKeys\/.+):encrypt$/, "encrypt"],
  ["POST", /^\/v1\/(?<name>projects\/.+\/cryptoKeys\/[^/]+):decrypt$/, "decrypt"],
  ["POST", /^\/v1\/(?<name>.+\/cryptoKeyVersions\/[^/]+):asymmetricSign$/, "asymmetricSign"],
  ["POST", /^\/v1\/(?<name>.+\/cryptoKeyVersions\/[^/]+):macSign$/, "macSign"],
  ["POST", /^\/v1\/(?<name>.+\/cryptoKeyVersions\/[^/]+):macVerify$/, "macVerify"],
  [
    "POST",
    /^\/v1\/(?<location>projects\/[^/]+\/locations\/[^/]+):generateRandomBytes$/,
    "generateRandomBytes",
  ],
  [
    "POST",
    /^\/v1\/(?<name>.+\/cryptoKeys\/[^/]+):updatePrimaryVersion$/,
    "updateCryptoKeyPrimaryVersion",
  ],
  ["POST", /^\/v1\/(?<parent>.+\/cryptoKeys\/[^/]+)\/cryptoKeyVersions$/, "createCryptoKeyVersion"],
  ["POST", /^\/v1\/(?<parent>.+\/keyRings\/[^/]+)\/cryptoKeys$/, "createCryptoKey"],
  ["PATCH", /^\/v1\/(?<resource>.+\/cryptoKeyVersions\/[^/]+)$/, "updateCryptoKeyVersion"],
  ["GET", /^\/v1\/(?<name>.+\/cryptoKeyVersions\/[^/]+)\/publicKey$/, "getPublicKey"],
  ["GET", /^\/v1\/(?<name>.+\/cryptoKeyVersions\/[^/]+)$/, "getCryptoKeyVersion"],
  ["GET", /^\/v1\/(?<parent>.+\/cryptoKeys\/[^/]+)\/cryptoKeyVersions$/, "listCryptoKeyVersions"],
  ["GET", /^\/v1\/(?<name>.+\/cryptoKeys\/[^/]+)$/, "getCryptoKey"],
  ["GET", /^\/v1\/(?<parent>.+\/keyRings\/[^/]+)\/cryptoKeys$/, "listCryptoKeys"],
  ["GET", /^\/v1\/(?<name>.+\/keyRings\/[^/]+)$/, "getKeyRing"],
];
/** Methods whose body is one field of the request. */
const BODY_FIELDS: Readonly<Record<string, string>> = {
  createCryptoKey: "cryptoKey",
  createCryptoKeyVersion: "cryptoKeyVersion",
  updateCryptoKeyVersion: "cryptoKeyVersion",
};

/** The same service as JSON over HTTP/1.1, in the JSON form of protobuf: bytes in base64, Int64Value as a string. */
export const startRest = async (
  handle: (method: string, request: Message) => Promise<Message>,
  port: number,
): Promise<{ url: string; stop(): Promise<void> }> => {
  const server = createServer((request, response) => {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    read(request)
      .then(([method, message]) => handle(method, message))
      .then(
        (message) => send(200, toJson(message) as object),
        (error) => {
          const fault = error instanceof Fault ? error : new Fault("UNKNOWN", String(error));
          const [, code] = CODES[fault.code];
          send(code, { error: { code, message: fault.message, status: fault.code } });
        },
      );
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const read = async (request: IncomingMessage): Promise<[string, Message]> => {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  const path = decodeURIComponent(url.pathname);
  const route = ROUTES.find(([verb, pattern]) => verb === request.method && pattern.test(path));
  if (route === undefined) throw new Fault("UNIMPLEMENTED", `${request.method} ${path}`);
  const [, pattern, method] = route;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const body = text === "" ? {} : fromJson(JSON.parse(text));
  const field = BODY_FIELDS[method];
  const { updateMask, ...query } = Object.fromEntries(url.searchParams);
  const { resource, ...fields } = pattern.exec(path)?.groups ?? {};
  // What the path says, clients may leave out of the body.
  const named = resource === undefined ? body : { ...body, name: resource };
  return [
    method,
    {
      ...fromJson(query),
      ...(updateMask !== undefined && { updateMask: { paths: updateMask.split(",") } }),
      ...fields,
      ...(field === undefined ? body : { [field]: named }),
    },
  ];
};

const BYTES =
  /^(?:plaintext|ciphertext|additionalAuthenticatedData|data|mac|sha256|sha384|sha512)$/;
const ENUMS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  protectionLevel: readEnum("ProtectionLevel"),
  purpose: readEnum("CryptoKey.CryptoKeyPurpose"),
  state: readEnum("CryptoKeyVersion.CryptoKeyVersionState"),
  algorithm: readEnum("CryptoKeyVersion.CryptoKeyVersionAlgorithm"),
  publicKeyFormat: readEnum("PublicKey.PublicKeyFormat"),
};

// The SDKs send enumerations as numbers, also in queries.
const fromJson = (value: Message): Message =>
  Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      if (BYTES.test(name)) return [name, Buffer.from(field, "base64")];
      if (name.endsWith("Crc32c")) return [name, { value: field }];
      if (typeof field === "object" && field !== null) return [name, fromJson(field)];
      return [name, ENUMS[name]?.[field] ?? field];
    }),
  );

const toJson = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      if (/Crc32c$|^crc32cChecksum$/.test(name) && field !== null && typeof field === "object") {
        return [name, field.value];
      }
      if (name === "createTime") return [name, new Date(field.seconds * 1000 + field.nanos / 1e6)];
      return [name, toJson(field)];
    }),
  );
};
