import type { Handle, PKCS11, Template } from "pkcs11js";
import { CKA, CKK, CKO } from "./constants.ts";
import type { AttributeValue, KeyFacts, ObjectRef } from "./protocol.ts";

/** A CK_ULONG from the module: 8 bytes, or 4 on Windows. pkcs11js gives it in the machine's order, which is little-endian. */
export function ulong(bytes: Uint8Array): number {
  const { buffer, byteOffset, byteLength } = bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  return byteLength === 4 ? view.getUint32(0, true) : Number(view.getBigUint64(0, true));
}

/** Templates as pkcs11js takes them; it packs numbers as the machine's CK_ULONG. */
export function templateOf(attributes: readonly AttributeValue[]): Template {
  return attributes.map(({ type, value }) => ({
    type,
    value: typeof value === "object" ? Buffer.from(value.hex, "hex") : value,
  }));
}

/** The template that finds an object. */
export function searchTemplate({ class: objectClass, keyType, id, label }: ObjectRef): Template {
  return [
    { type: CKA.class, value: objectClass },
    ...(keyType === undefined ? [] : [{ type: CKA.keyType, value: keyType }]),
    ...(id === undefined ? [] : [{ type: CKA.id, value: Buffer.from(id, "hex") }]),
    ...(label === undefined ? [] : [{ type: CKA.label, value: Buffer.from(label) }]),
  ];
}

/** Reads what the parent has to know about a key. */
export function readKeyFacts(module: PKCS11, session: Handle, object: Handle): KeyFacts {
  // One at a time: a token that does not know an attribute refuses the whole list.
  const read = (type: number): Buffer | undefined => {
    try {
      return module.C_GetAttributeValue(session, object, [{ type }])[0]?.value;
    } catch {
      return undefined;
    }
  };
  const number = (type: number): number => {
    const value = read(type);
    return value === undefined ? -1 : ulong(value);
  };
  const flag = (type: number): boolean => read(type)?.[0] === 1;
  const optional = (name: string, type: number): Record<string, string> => {
    const value = read(type);
    return value === undefined || value.length === 0 ? {} : { [name]: value.toString("hex") };
  };
  const objectClass = number(CKA.class);
  const keyType = number(CKA.keyType);
  const onCurve = keyType === CKK.ec || keyType === CKK.ecEdwards;
  return {
    class: objectClass,
    keyType,
    id: read(CKA.id)?.toString("hex") ?? "",
    label: read(CKA.label)?.toString("utf8") ?? "",
    sign: flag(CKA.sign),
    decrypt: flag(CKA.decrypt),
    unwrap: flag(CKA.unwrap),
    sensitive: flag(CKA.sensitive),
    extractable: flag(CKA.extractable),
    alwaysAuthenticate: flag(CKA.alwaysAuthenticate),
    ...(onCurve && { ...optional("ecParams", CKA.ecParams), ...optional("ecPoint", CKA.ecPoint) }),
    ...(keyType === CKK.rsa && {
      ...optional("modulus", CKA.modulus),
      ...optional("publicExponent", CKA.publicExponent),
    }),
    ...(objectClass === CKO.secretKey && { valueLength: number(CKA.valueLength) }),
  };
}
