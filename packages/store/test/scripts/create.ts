// Says "go" and makes a database, or brings one up to date. With "wait": when it is told to.
import { once } from "node:events";
import { openStore } from "@lango/store";
import { loadSqlite } from "../../src/driver.ts";
import { placeOf } from "./place.ts";

// Loaded before, so that the kills fall into the making.
const sqlite = await loadSqlite();
const place = placeOf(process.argv[2]);
console.log("go");
if (process.argv[3] === "wait") {
  await once(process.stdin, "data");
  process.stdin.destroy();
}
await (
  await openStore({ ...place, mode: "create", ...("file" in place ? { sqlite } : {}) })
).close();
