import type { Scanner } from "@lango/guard";

/** A JSON value with every secret in its texts and names masked, and whether there was any. */
export interface MaskedJson {
  readonly value: unknown;
  readonly isMasked: boolean;
}

/** Texts are scanned as they are meant, without the escapes of JSON. */
export function maskJson(scanner: Scanner, value: unknown): MaskedJson {
  let isMasked = false;
  const text = (written: string): string => {
    const { output, findings } = scanner.scan(new TextEncoder().encode(written));
    if (findings.length === 0) return written;
    isMasked = true;
    return new TextDecoder().decode(output);
  };
  const mask = (node: unknown): unknown => {
    if (typeof node === "string") return text(node);
    if (Array.isArray(node)) return node.map(mask);
    if (typeof node !== "object" || node === null) return node;
    return Object.fromEntries(Object.entries(node).map(([key, child]) => [text(key), mask(child)]));
  };
  return { value: mask(value), isMasked };
}
