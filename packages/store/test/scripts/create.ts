// Says "go" and makes a database.
import { openStore } from "@lango/store";

console.log("go");
await (await openStore({ file: process.argv[2] as string, mode: "create" })).close();
