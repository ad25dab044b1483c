// Opens a database and keeps it open; a line on standard input writes into it, and says how that went.
import { isCryptoError } from "@lango/crypto-core";
import { openStore } from "@lango/store";

const store = await openStore({ file: process.argv[2] as string, mode: "open" });
await store.counts();
console.log("ready");
process.stdin.on("data", async () => {
  try {
    await store.transaction("full", async (tx) => void (await tx.counts()));
    console.log("written");
  } catch (error) {
    console.log(isCryptoError(error) ? error.code : error);
  }
});
