// Opens a database that this process may not write, in a folder that it may not write.
import { chmodSync, chownSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { isCryptoError } from "@lango/crypto-core";
import { openStore } from "@lango/store";

const [file, driver] = process.argv.slice(2) as [string, string];
const sqlite = createRequire(import.meta.url)(driver);
new sqlite(":memory:").close();
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
if (isRoot) {
  chownSync(file, NOBODY, NOBODY);
  chownSync(dirname(file), NOBODY, NOBODY);
}
chmodSync(file, 0o400);
chmodSync(dirname(file), 0o500);
// Root may write everything, so it becomes somebody else for good.
if (isRoot) process.setuid?.(NOBODY);

const code = (error: unknown) => (isCryptoError(error) ? error.code : String(error));
const store = await openStore({ file, mode: "read", sqlite });
const keys = (await store.keys.list()).length;
const write = await store.transaction("full", async () => "done").catch(code);
await store.close();
const opened = await openStore({ file, mode: "open", sqlite, busyTimeoutMs: 100 }).then(
  () => "done",
  code,
);
console.log(`keys: ${keys}; write: ${write}; open: ${opened}`);
