import { CryptoError, toHex } from "@lango/crypto-core";
import { checksumAddress } from "./address.ts";
import { decodeRlp, type RlpItem } from "./rlp.ts";

/** What an unsigned transaction does. Amounts in wei. */
export interface Transaction {
  /** `legacy`, or the number of its type (EIP-2718). */
  readonly type: "legacy" | 1 | 2 | 3 | 4;
  readonly chainId: bigint;
  readonly nonce: bigint;
  /** With the checksum of EIP-55; `undefined`: it creates a contract. */
  readonly to: string | undefined;
  readonly value: bigint;
  readonly gasLimit: bigint;
  /** The most that a unit of gas may cost. */
  readonly maxFeePerGas: bigint;
  readonly data: Uint8Array;
}

interface Layout {
  readonly type: Transaction["type"];
  /** Number of fields. */
  readonly fields: number;
  readonly chainId: number;
  readonly nonce: number;
  readonly maxFee: number;
}

/** EIP-155: nonce, gasPrice, gasLimit, to, value, data, chainId, 0, 0. */
const LEGACY: Layout = { type: "legacy", fields: 9, chainId: 6, nonce: 0, maxFee: 1 };
/** Behind `maxFee` all have gasLimit, to, value and data. */
const TYPED: Readonly<Record<number, Layout>> = {
  // EIP-2930: chainId, nonce, gasPrice, …, accessList.
  1: { type: 1, fields: 8, chainId: 0, nonce: 1, maxFee: 2 },
  // EIP-1559: chainId, nonce, maxPriorityFee, maxFee, …, accessList.
  2: { type: 2, fields: 9, chainId: 0, nonce: 1, maxFee: 3 },
  // EIP-4844: …, accessList, maxFeePerBlobGas, blobVersionedHashes.
  3: { type: 3, fields: 11, chainId: 0, nonce: 1, maxFee: 3 },
  // EIP-7702: …, accessList, authorizationList.
  4: { type: 4, fields: 10, chainId: 0, nonce: 1, maxFee: 3 },
};

/**
 * Reads the unsigned bytes of a transaction.
 *
 * Other types are refused, and so is what is no transaction at all: bytes that begin with 0x19 (EIP-191, EIP-712) or 0x05
 * (the authorizations of EIP-7702) would give a signature that is worth something elsewhere.
 *
 * @throws {@link CryptoError} `ERR_UNSUPPORTED` for another type, and for a legacy transaction without a chain (before EIP-155),
 *   which every chain would take; `ERR_INVALID_ARGUMENT` for bytes that are no transaction in canonical form.
 */
export const decodeTransaction = (bytes: Uint8Array): Transaction => {
  const first = bytes[0] ?? 0;
  const isLegacy = first >= 0xc0;
  const layout = isLegacy ? LEGACY : TYPED[first];
  if (layout === undefined) {
    throw new CryptoError("ERR_UNSUPPORTED", `Transactions of type ${first} are not signed here`);
  }
  const fields = decodeRlp(isLegacy ? bytes : bytes.subarray(1));
  if (!isList(fields)) throw invalid("it is no list");
  if (isLegacy && fields.length === 6) {
    throw new CryptoError("ERR_UNSUPPORTED", "A transaction without a chain id is not signed", {
      context: { hint: "Name the chain, as EIP-155 says" },
    });
  }
  if (fields.length !== layout.fields) {
    throw invalid(`it has ${fields.length} fields, not ${layout.fields}`);
  }
  const field = (index: number): RlpItem => fields[index] ?? [];
  if (isLegacy && (integer(field(7)) !== 0n || integer(field(8)) !== 0n)) {
    throw invalid("it is signed already");
  }
  const { type, chainId, nonce, maxFee } = layout;
  return {
    type,
    chainId: integer(field(chainId)),
    nonce: integer(field(nonce)),
    maxFeePerGas: integer(field(maxFee)),
    gasLimit: integer(field(maxFee + 1)),
    to: address(field(maxFee + 2)),
    value: integer(field(maxFee + 3)),
    data: byteString(field(maxFee + 4)),
  };
};

/** The transaction for a person, a line each. */
export const describeTransaction = (transaction: Transaction): string[] => {
  const { type, chainId, nonce, to, value, gasLimit, maxFeePerGas, data } = transaction;
  const selector = data.length >= 4 ? `, calls 0x${toHex(data.subarray(0, 4))}` : "";
  return [
    `Chain ${chainId}, nonce ${nonce}, ${type === "legacy" ? type : `type ${type}`}`,
    to === undefined ? "To: a new contract" : `To: ${to}`,
    `Value: ${ether(value)}, ${value} wei`,
    `Fee: at most ${ether(gasLimit * maxFeePerGas)}`,
    ...(data.length > 0 ? [`Data: ${data.length} bytes${selector}`] : []),
    ...(type === 3 ? ["The fees of its blobs come on top (EIP-4844)"] : []),
    ...(type === 4 ? ["It hands accounts over to the code of contracts (EIP-7702)"] : []),
  ];
};

/** Wei in units of 10^18, all digits. "Ether", whatever the coin of the chain is called. */
const ether = (wei: bigint): string => {
  const digits = wei.toString().padStart(19, "0");
  const fraction = digits.slice(-18).replace(/0+$/, "");
  return `${digits.slice(0, -18)}${fraction === "" ? "" : `.${fraction}`} ether`;
};

const isList = (item: RlpItem): item is readonly RlpItem[] => Array.isArray(item);

const byteString = (item: RlpItem): Uint8Array => {
  if (isList(item)) throw invalid("a list where bytes belong");
  return item as Uint8Array;
};

const integer = (item: RlpItem): bigint => {
  const bytes = byteString(item);
  if (bytes[0] === 0 || bytes.length > 32)
    throw invalid("a number with zeros before it, or too large");
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
};

const address = (item: RlpItem): string | undefined => {
  const bytes = byteString(item);
  if (bytes.length === 0) return undefined;
  if (bytes.length !== 20) throw invalid(`an address of ${bytes.length} bytes`);
  return checksumAddress(bytes);
};

const invalid = (what: string): CryptoError =>
  new CryptoError("ERR_INVALID_ARGUMENT", `That is no unsigned transaction: ${what}`);
