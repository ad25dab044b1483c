// Takes the lock and keeps it until it is killed.
import { openStore } from "@lango/store";

const store = await openStore({ file: process.argv[2] as string, mode: "open" });
await store.withLock(async () => {
  console.log("locked");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});
