export { removeCopies } from "./copy-aside.ts";
export { openOriginal } from "./original.ts";
export type { OpenOriginalOptions, Original, OriginalSecret } from "./original-types.ts";
export { asideOf, isAside, putAside, putBack } from "./put-aside.ts";
