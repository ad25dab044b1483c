export { acceptRollback } from "./accept-rollback.ts";
export { createVault } from "./create.ts";
export { inspectHome } from "./home.ts";
export type * from "./key-types.ts";
export { makeFolder } from "./make-folder.ts";
export { openVault } from "./open.ts";
export type * from "./provider-types.ts";
export { readVault } from "./read.ts";
export type * from "./types.ts";
