import { isUtf8 } from "node:buffer";
import type { Bytes } from "@lango/crypto-core";
import { BYTE_FORMS } from "./byte-forms.ts";
import { ByteSink } from "./byte-sink.ts";
import { TEXT_FORMS } from "./text-forms.ts";
import type { FormName } from "./types.ts";

/** One way in which a value may be written. */
export interface Form {
  readonly form: FormName;
  /** Good until the next form. */
  readonly bytes: Bytes;
  /**
   * Whether the case of ASCII letters counts. Only in base64; elsewhere digits of escapes come in both cases, and a
   * value in capitals is the value still.
   */
  readonly caseCounts: boolean;
}

/** Calls `visit` with every form of a value, the plain one first. Many are equal: `visit` skips what it has. */
export const eachForm = (value: Uint8Array, visit: (form: Form) => void): void => {
  const out = new ByteSink();
  const forms = isUtf8(value) ? [...BYTE_FORMS, ...TEXT_FORMS] : BYTE_FORMS;
  for (const { form, encode } of forms) {
    encode(value, out);
    const caseCounts = form === "base64" || form === "base64url";
    visit({ form, bytes: out.take(), caseCounts });
  }
  out.clear();
};
