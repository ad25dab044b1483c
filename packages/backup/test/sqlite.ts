import { createRequire } from "node:module";
import type { SqliteConstructor } from "@lango/store";

/** The driver without the store: what anybody with the file can do. Its own types are not exported by its package. */
export const Sqlite = createRequire(import.meta.url)(
  "better-sqlite3-multiple-ciphers",
) as SqliteConstructor;
