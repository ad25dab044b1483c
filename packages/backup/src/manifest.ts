import { type Bytes, CryptoError, fromHex, toHex, utf8 } from "@lango/crypto-core";
import { type JsonValue, jcs, parseJsonStrict } from "@lango/envelope";
import { malformed } from "./tar.ts";

/** The first file of the archive. */
export const MANIFEST_NAME = "manifest.json";
export const MAX_MANIFEST_BYTES: number = 64 * 1024;

const FORMAT = "lango-backup";
const VERSION = 1;

/** A file of the archive after the manifest. */
export interface ManifestEntry {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of the content, 64 hex characters. */
  readonly sha256: string;
}

/** What a backup says of itself. */
export interface Manifest {
  /** When it was made, as ISO 8601. */
  readonly createdAt: string;
  /** Version of the lango that made it. */
  readonly lango: string;
  /** Version of the database's schema. */
  readonly schema: number;
  /** 32 hex characters. */
  readonly vaultId: string;
  readonly slotGeneration: number;
  /** The server that the rows were on, without a password; absent where they were in `lango.db`. */
  readonly from?: string;
  /** In the order of the archive. */
  readonly entries: readonly ManifestEntry[];
}

/** A manifest with what proves who made it. */
export interface SignedManifest {
  readonly manifest: Manifest;
  /** What the MAC covers: the manifest without it, as JCS (RFC 8785). */
  readonly signed: Bytes;
  /** 32 bytes; see `Snapshot.mac` of `@lango/vault`. */
  readonly mac: Bytes;
}

/** Files that a backup may hold, with the most bytes of each. */
const KNOWN: Readonly<Record<string, number>> = {
  "keyslots.json": 256 * 1024,
  "config.json": 1024 * 1024,
  "audit-anchors.1.jsonl": 4 * 1024 * 1024,
  "audit-anchors.jsonl": 4 * 1024 * 1024,
  "lango.db": Number.MAX_SAFE_INTEGER,
};
const NEEDED = ["keyslots.json", "lango.db"];

/** The bytes of `manifest.json`. */
export const encodeManifest = (
  manifest: Manifest,
  mac: (signed: Uint8Array) => Uint8Array,
): Bytes => {
  const content = { format: FORMAT, version: VERSION, ...manifest } as unknown as Content;
  const signed = utf8(jcs(content));
  return utf8(`${JSON.stringify({ ...content, mac: toHex(mac(signed)) }, null, 2)}\n`);
};

type Content = { readonly [key: string]: JsonValue };

/**
 * Reads `manifest.json` and checks its form. That a vault made it shows when the MAC is compared.
 *
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE`; `ERR_CONFLICT` for one of a newer lango.
 */
export const parseManifest = (bytes: Uint8Array): SignedManifest => {
  const value = parseJsonStrict(bytes, { maxBytes: MAX_MANIFEST_BYTES });
  if (!isObject(value) || value["format"] !== FORMAT) throw malformed("its manifest is another");
  const { version } = value;
  if (typeof version !== "number" || version > VERSION) {
    throw new CryptoError(
      "ERR_CONFLICT",
      `The backup has format ${String(version)}; this lango knows up to ${VERSION}`,
      { context: { hint: "Update lango: a newer one made this backup" } },
    );
  }
  const { mac: macText, ...content } = value;
  const mac = typeof macText === "string" ? fromHex(macText) : undefined;
  if (mac?.length !== 32) throw malformed("its manifest has no MAC");
  return { manifest: checked(content), signed: utf8(jcs(content)), mac };
};

const MEMBERS = [
  "createdAt",
  "entries",
  "format",
  "lango",
  "schema",
  "slotGeneration",
  "vaultId",
  "version",
];

/** The address of a server, as its store says it. */
const FROM = /^postgres:\/\/[\x21-\x7e]{1,2048}$/;

const checked = (content: Content): Manifest => {
  const { createdAt, lango, schema, vaultId, slotGeneration, from, entries } = content;
  const members = Object.keys(content).filter((name) => name !== "from");
  const sound =
    members.sort().join() === MEMBERS.join() &&
    (from === undefined || isText(from, FROM)) &&
    isText(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/) &&
    isText(lango, /^[0-9A-Za-z.+-]{1,64}$/) &&
    isText(vaultId, /^[0-9a-f]{32}$/) &&
    isCount(schema) &&
    isCount(slotGeneration) &&
    Array.isArray(entries);
  if (!sound) throw malformed("its manifest lacks something, or has something else");
  checkEntries(entries);
  const { format: _, version: __, ...manifest } = content;
  return manifest as unknown as Manifest;
};

const checkEntries = (entries: readonly JsonValue[]): void => {
  const names = new Set<string>();
  for (const entry of entries) {
    const { name, size, sha256, ...more } = isObject(entry) ? entry : ({} as Content);
    const sound =
      typeof name === "string" &&
      isText(sha256, /^[0-9a-f]{64}$/) &&
      isCount(size) &&
      Object.keys(more).length === 0;
    if (!sound) throw malformed("its manifest lists something that is no file");
    const most = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
    if (most === undefined) throw malformed(`it holds ${JSON.stringify(name.slice(0, 64))}`);
    if ((size as number) > most) throw malformed(`${name} is too large`);
    if (names.has(name)) throw malformed(`it holds ${name} twice`);
    names.add(name);
  }
  const missing = NEEDED.find((name) => !names.has(name));
  if (missing !== undefined) throw malformed(`it lacks ${missing}`);
};

const isObject = (value: JsonValue | undefined): value is Content =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: JsonValue | undefined, form: RegExp): boolean =>
  typeof value === "string" && form.test(value);
const isCount = (value: JsonValue | undefined): boolean =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
