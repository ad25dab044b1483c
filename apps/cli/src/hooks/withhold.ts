/** Fields by which tools say what kind of result it is; another word there would be no valid result. */
const KIND_FIELDS: readonly string[] = ["type", "kind", "mode", "status"];
const KIND = /^[a-z][a-z_]{0,23}$/;

/** The result of a tool with a note in the place of every text, and otherwise of the same shape. */
export function withhold(value: unknown, note: string): unknown {
  if (typeof value === "string") return note;
  if (Array.isArray(value)) return value.map((each) => withhold(each, note));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => {
      const isKind = KIND_FIELDS.includes(key) && typeof child === "string" && KIND.test(child);
      return [key, isKind ? child : withhold(child, note)];
    }),
  );
}
