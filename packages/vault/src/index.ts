export { acceptRollback } from "./accept-rollback.ts";
export { createVault } from "./create.ts";
export { inspectHome } from "./home.ts";
export { openVault } from "./open.ts";
export { readVault } from "./read.ts";
export type * from "./types.ts";
