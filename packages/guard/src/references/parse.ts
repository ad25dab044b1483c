import { CryptoError, randomBytesFresh, toHex } from "@lango/crypto-core";

/** Stands for a value in a text that an agent may see. */
export type Reference =
  | {
      readonly kind: "secret";
      /** As in the vault: 1 to 256 characters of `A-Z a-z 0-9 . _ / -`. */
      readonly name: string;
      /** 32 lower-case hexadecimal digits; absent in the plain form. */
      readonly handle?: string;
    }
  | {
      readonly kind: "decrypt";
      /** A UUID in lower case: the result of one decryption. */
      readonly id: string;
    };

/** A stretch of ordinary text, or a reference. */
export type TemplatePart = string | Reference;

const HANDLE_BYTES = 16;
const OPENING = /\{\{(secret|decrypt):/g;
const CLOSING = "}}";
/** A longer body is malformed whatever it says: 256 characters of a name, `#` and 32 of a handle. */
const MAX_BODY = 289;

const NAME = /^[A-Za-z0-9._/-]{1,256}$/;
const HANDLE = /^[0-9a-f]{32}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Splits a text at its references: `{{secret:name}}`, `{{secret:name#handle}}` and `{{decrypt:id}}`, with nothing between
 * but what the grammar says. Other text in braces is text.
 *
 * @returns Parts that give the text again, character for character, when they are written one after another.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for what opens as a reference and is none: left in place it would be
 *   taken for the value.
 */
export const parseTemplate = (text: string): readonly TemplatePart[] => {
  const parts: TemplatePart[] = [];
  let done = 0;
  OPENING.lastIndex = 0;
  for (let found = OPENING.exec(text); found !== null; found = OPENING.exec(text)) {
    const from = found.index + found[0].length;
    const to = text.slice(from, from + MAX_BODY + CLOSING.length).indexOf(CLOSING);
    const reference = to < 0 ? undefined : parseBody(found[1]!, text.slice(from, from + to));
    if (reference === undefined) throw malformed(found.index);
    if (found.index > done) parts.push(text.slice(done, found.index));
    parts.push(reference);
    done = from + to + CLOSING.length;
    OPENING.lastIndex = done;
  }
  if (done < text.length) parts.push(text.slice(done));
  return parts;
};

/** Writes a reference. The inverse of {@link parseTemplate} for each reference that it gives. */
export const formatReference = (reference: Reference): string => {
  if (reference.kind === "decrypt") return `{{decrypt:${reference.id}}}`;
  const handle = reference.handle === undefined ? "" : `#${reference.handle}`;
  return `{{secret:${reference.name}${handle}}}`;
};

/** 128 random bits for a reference that cannot be guessed, as 32 lower-case hexadecimal digits. */
export const newHandle = (): string => toHex(randomBytesFresh(HANDLE_BYTES));

const parseBody = (kind: string, body: string): Reference | undefined => {
  if (kind === "decrypt") return UUID.test(body) ? { kind, id: body } : undefined;
  const [name = "", handle, ...more] = body.split("#");
  if (!isName(name) || more.length > 0) return undefined;
  if (handle === undefined) return { kind: "secret", name };
  return HANDLE.test(handle) ? { kind: "secret", name, handle } : undefined;
};

const isName = (name: string): boolean =>
  NAME.test(name) && !name.includes("..") && !name.startsWith("/") && !name.endsWith("/");

// What stands there is not repeated: people paste values where names belong.
const malformed = (at: number): CryptoError =>
  new CryptoError("ERR_INVALID_ARGUMENT", `The reference at character ${at} is malformed`, {
    context: { hint: "Write {{secret:name}}, {{secret:name#handle}} or {{decrypt:id}}" },
  });
