import { createHmac, type KeyObject } from "node:crypto";
import { dirname } from "node:path";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  fromHex,
  isCryptoError,
  toHex,
  toPlain,
  utf8,
} from "@lango/crypto-core";
import {
  type JsonValue,
  type Keyslots,
  parseJsonStrict,
  parts,
  type RowsKeys,
} from "@lango/envelope";
import { readSmallFile, replaceFile } from "./files.ts";
import { makeFolder } from "./make-folder.ts";

// Slots that are a row of a database can be brought back together with the whole of it, which nothing in the database
// would show. So each machine keeps the newest generation that it has seen, by vault, in a file of its own.

/** The newest slots that this machine has seen of a vault. */
export interface Pin {
  readonly generation: number;
  /** The MAC of that document, in hex: another one of the same number is of another branch. */
  readonly slots: string;
  /** HMAC-SHA-256(rows key, parts(`pin`, vault id, generation, MAC of the document)), in hex. */
  readonly mac: string;
}

type Pins = Readonly<Record<string, Pin>>;

const MAX_PINS_BYTES = 64 * 1024;

export const readPin = async (path: string, vaultId: string): Promise<Pin | undefined> => {
  const pins = await readPins(path);
  return Object.hasOwn(pins, vaultId) ? pins[vaultId] : undefined;
};

/** Whether the machine has seen exactly these slots last. */
export const isPinned = (pin: Pin | undefined, { generation, mac }: Keyslots): boolean =>
  pin !== undefined && pin.generation === generation && pin.slots === mac;

/** Whether the machine has seen newer slots, or others of the same number. */
export const isBefore = (pin: Pin | undefined, keyslots: Keyslots): boolean =>
  pin !== undefined && pin.generation >= keyslots.generation && !isPinned(pin, keyslots);

/** Whether the pin was written by a holder of this vault. After the vault's keys were changed elsewhere it is not so, too. */
export const isPinSound = ({ current, former }: RowsKeys, vaultId: string, pin: Pin): boolean =>
  [current, former].some(
    (key) =>
      key !== undefined &&
      bytesEqual(pinMac(key, vaultId, pin), fromHex(pin.mac) ?? new Uint8Array()),
  );

/** Notes the slots as the newest ones. Call it under the vault's lock. */
export const writePin = async (
  path: string,
  rowsKeys: RowsKeys,
  { vaultId, generation, mac: slots }: Keyslots,
): Promise<void> => {
  const pin = { generation, slots };
  const mac = toHex(pinMac(rowsKeys.current, vaultId, pin));
  const pins = { ...(await readPins(path)), [vaultId]: { ...pin, mac } };
  // On a further machine the database may be all that there is yet.
  makeFolder(dirname(path));
  await replaceFile(path, utf8(`${JSON.stringify(pins)}\n`), "pins");
};

const pinMac = (
  rowsKey: KeyObject,
  vaultId: string,
  { generation, slots }: Omit<Pin, "mac">,
): Bytes => {
  const content = parts(utf8("pin"), utf8(vaultId), utf8(String(generation)), utf8(slots));
  return toPlain(createHmac("sha256", rowsKey).update(content).digest());
};

const readPins = async (path: string): Promise<Pins> => {
  const bytes = await readSmallFile(path, MAX_PINS_BYTES);
  if (bytes === undefined) return {};
  const pins = parsed(bytes);
  if (pins !== undefined) return pins;
  // Whoever damages it would otherwise have taken away what it proves.
  throw new CryptoError("ERR_INTEGRITY", `${path} is damaged`, {
    context: { hint: "If you know why, remove it: it is written anew at the next opening" },
  });
};

const parsed = (bytes: Uint8Array): Pins | undefined => {
  try {
    const value = parseJsonStrict(bytes, { maxBytes: MAX_PINS_BYTES });
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject && Object.values(value).every(isPin) ? (value as unknown as Pins) : undefined;
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
};

const isPin = (value: JsonValue): boolean => {
  const { generation, slots, mac } = (value ?? {}) as Readonly<Record<string, JsonValue>>;
  return Number.isSafeInteger(generation) && typeof slots === "string" && typeof mac === "string";
};
