/** A name as a quoted identifier. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
