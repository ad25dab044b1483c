import type { Failure, OwnFailure } from "./protocol.ts";

/** A failure of the child's own, for which PKCS#11 has no return value. */
export class TokenFailure extends Error {
  readonly failure: Failure;

  constructor(name: OwnFailure, detail?: string) {
    super(name);
    this.failure = { name, ...(detail !== undefined && { detail }) };
  }
}

/** The name of the PKCS#11 return value that an error of pkcs11js stands for. */
export function returnValueOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !error.message.startsWith("CKR_")) return undefined;
  // A number of a vendor has no name.
  const code = "code" in error && typeof error.code === "number" ? error.code : 0;
  const [name = ""] = error.message.split(/[^A-Z0-9_]/);
  return name === "CKR_VENDOR_DEFINED" || name === "CKR_"
    ? `CKR_VENDOR_0x${code.toString(16)}`
    : name;
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
