// Takes the lock and keeps it until it is killed.
import { openStore } from "@lango/store";
import { placeOf } from "./place.ts";

const store = await openStore({ ...placeOf(process.argv[2]), mode: "open" });
await store.withLock(async () => {
  console.log("locked");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});
