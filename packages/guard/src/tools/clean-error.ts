import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { type Cleaning, cleanValue, define } from "./clean-value.ts";
import { filterText } from "./filter.ts";

/**
 * A copy of an error with every secret masked: in its message, its stack, its causes, the errors it gathers and whatever
 * else hangs on it. It is an error of the same class as far as `instanceof` can tell; what a class keeps in private stays behind.
 */
export const cleanError = (error: Error, cleaning: Cleaning): Error => {
  const { parts, seen } = cleaning;
  const known = seen.get(error);
  if (known !== undefined) return known as Error;
  const copy = emptyCopy(error, (text) => filterText(parts, text));
  seen.set(error, copy);
  for (const name of ["cause", "errors"] as const) {
    if (name in error) define(copy, name, cleanValue(Reflect.get(error, name), cleaning), false);
  }
  for (const [name, member] of Object.entries(error)) {
    if (!Object.hasOwn(copy, name)) {
      define(copy, filterText(parts, name), cleanValue(member, cleaning));
    }
  }
  return copy;
};

/** Whatever was thrown, cleaned. */
export const cleanThrown = (thrown: unknown, cleaning: Cleaning): unknown => {
  try {
    return cleanValue(thrown, cleaning);
  } catch {
    // A getter that throws, or causes without end: nothing of it can be shown.
    return new CryptoError("ERR_INTERNAL", "A tool failed with an error that cannot be read");
  }
};

const emptyCopy = (error: Error, clean: (text: string) => string): Error => {
  const message = clean(String(error.message));
  const stack = typeof error.stack === "string" ? clean(error.stack) : undefined;
  if (isCryptoError(error)) {
    const { code, retryable, context } = error;
    const cleaned = Object.entries(context).map(([name, text]) => [name, clean(String(text))]);
    const copy = new CryptoError(code, message, {
      context: Object.fromEntries(cleaned),
      retryable,
    });
    define(copy, "stack", stack, false);
    return copy;
  }
  if (error instanceof DOMException) return new DOMException(message, clean(error.name));
  const copy = new Error(message);
  const prototype: unknown = Object.getPrototypeOf(error);
  // Another error as prototype would show what it has.
  if (!(prototype instanceof Error && Object.hasOwn(prototype, "stack"))) {
    Object.setPrototypeOf(copy, prototype as object);
  }
  define(copy, "name", clean(String(error.name)), false);
  define(copy, "stack", stack, false);
  return copy;
};
