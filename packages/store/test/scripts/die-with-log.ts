// Makes an encrypted database, writes a secret into it and dies with its log full: `die-with-log.ts <file> <name> <page size>`.
import { openStore } from "@lango/store";
import { dataKeyRow, keyRow, secretRow, versionRow } from "../rows.ts";

const [file = "", name = "", pageSize = ""] = process.argv.slice(2);
const key = new Uint8Array(32).fill(7);
const store = await openStore({ file, mode: "create", key, cipherPageSize: Number(pageSize) });
await store.transaction("full", async (tx) => {
  const key = keyRow();
  const dataKey = dataKeyRow({ keyId: key.id });
  await tx.keys.insert(key);
  await tx.dataKeys.insert(dataKey);
  const secret = secretRow({ keyId: key.id, name });
  await tx.secrets.insertSecret(secret, versionRow({ secretId: secret.id, dataKeyId: dataKey.id }));
});
process.kill(process.pid, "SIGKILL");
