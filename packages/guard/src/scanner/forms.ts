import { isUtf8 } from "node:buffer";
import type { Bytes } from "@lango/crypto-core";
import { BYTE_FORMS, type ByteForm } from "./byte-forms.ts";
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

/** Which forms of a list change which byte: a bit for each form. */
const changesOf = (forms: readonly ByteForm[]): Int32Array =>
  Int32Array.from({ length: 256 }, (_, byte) =>
    forms.reduce((bits, { changes }, i) => (changes?.(byte) === false ? bits : bits | (1 << i)), 0),
  );

let byteChanges: Int32Array | undefined;
let textChanges: Int32Array | undefined;

/**
 * Calls `visit` with every form of a value, the plain one first. Those in which it looks as it is are left out; of the others
 * some may be equal: `visit` skips what it has.
 *
 * @param out - Takes one form after another. It holds the last one when this returns.
 */
export const eachForm = (
  value: Uint8Array,
  visit: (form: Form) => void,
  out: ByteSink = new ByteSink(),
): void => {
  byteChanges ??= changesOf(BYTE_FORMS);
  visitForms(BYTE_FORMS, byteChanges, value, visit, out);
  if (!isUtf8(value)) return;
  textChanges ??= changesOf(TEXT_FORMS);
  visitForms(TEXT_FORMS, textChanges, value, visit, out);
};

const visitForms = (
  forms: readonly ByteForm[],
  changes: Int32Array,
  value: Uint8Array,
  visit: (form: Form) => void,
  out: ByteSink,
): void => {
  let changed = 0;
  for (let at = 0; at < value.length; at++) changed |= changes[value[at]!]!;
  for (let i = 0; i < forms.length; i++) {
    if ((changed & (1 << i)) === 0) continue;
    const { form, encode } = forms[i]!;
    encode(value, out);
    const caseCounts = form === "base64" || form === "base64url";
    visit({ form, bytes: out.take(), caseCounts });
  }
};
