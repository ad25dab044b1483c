// Uses a secret and ends without closing the vault. Prints what would keep the process alive.
import { openVault } from "../../src/index.ts";
import { unlockWith } from "./work.ts";

const [home = ""] = process.argv.slice(2);
const vault = await openVault({ home, unlock: unlockWith("correct horse battery") });
await vault.secrets.get("a");
const timers = process.getActiveResourcesInfo().filter((name) => name === "Timeout");
process.stdout.write(`timers ${timers.length}\n`);
