// Says "go" and makes a database.
import { openStore } from "@lango/store";
import { loadSqlite } from "../../src/driver.ts";

// Loaded before, so that the kills fall into the making.
const sqlite = await loadSqlite();
console.log("go");
await (await openStore({ file: process.argv[2] as string, mode: "create", sqlite })).close();
