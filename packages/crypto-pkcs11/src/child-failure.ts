import type { Failure, OwnFailure } from "./protocol.ts";

/** A failure of the child's own, for which PKCS#11 has no return value. */
export class TokenFailure extends Error {
  readonly failure: Failure;

  constructor(name: OwnFailure, detail?: string) {
    super(name);
    this.failure = { name, ...(detail !== undefined && { detail }) };
  }
}

/** Return values of PKCS#11 3.0, for which pkcs11js has no names. */
const NAMES: Readonly<Record<number, string>> = {
  27: "CKR_ACTION_PROHIBITED",
  66: "CKR_AEAD_DECRYPT_FAILED",
  320: "CKR_CURVE_NOT_SUPPORTED",
};

/** The name of the PKCS#11 return value that an error of pkcs11js stands for. */
export function returnValueOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !error.message.startsWith("CKR_")) return undefined;
  const [name = ""] = error.message.split(/[^A-Z0-9_]/);
  // A number of a vendor, or a newer one.
  const code = "code" in error && typeof error.code === "number" ? error.code : 0;
  return name === "CKR_VENDOR_DEFINED" ? (NAMES[code] ?? `CKR_0x${code.toString(16)}`) : name;
}

/** What goes to the parent. A foreign error's message stays here: it could quote what it was given. */
export function failureOf(error: unknown): Failure {
  if (error instanceof TokenFailure) return error.failure;
  const name = returnValueOf(error);
  if (name === undefined) {
    return { name: "UNEXPECTED", detail: error instanceof Error ? error.name : typeof error };
  }
  const method = (error as { readonly method?: unknown }).method;
  return { name, ...(typeof method === "string" && method !== "" && { method }) };
}
