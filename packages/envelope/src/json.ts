/** What JSON can say. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

export const jcs = (_value: JsonValue): string => {
  throw new Error("soon");
};
export const parseJsonStrict = (
  _text: string | Uint8Array,
  _options: { readonly maxBytes: number },
): JsonValue => {
  throw new Error("soon");
};
