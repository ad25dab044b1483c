// Writes in transactions until it is killed, or as often as it is told: `write.ts <file or URL> <times> [hold]`.
// Each transaction adds a secret and an audit row, so that both counts are equal in every committed state.
import { openStore } from "@lango/store";
import { auditRow, hex, secretRow, versionRow } from "../rows.ts";
import { placeOf } from "./place.ts";

const [place, times, hold] = process.argv.slice(2) as [string, string, string?];
const store = await openStore({ ...placeOf(place), mode: "open", busyTimeoutMs: 30_000 });
const [dataKey] = await store.dataKeys.list();
if (dataKey === undefined) throw new Error("no data key");
console.log("ready");
for (let done = 0; done < Number(times); done++) {
  await store.transaction(done % 2 ? "full" : "normal", async (tx) => {
    const secret = secretRow({ keyId: dataKey.keyId, name: hex(8) });
    await tx.dataKeys.reserve(dataKey.id, 1, 100);
    await tx.secrets.insertSecret(
      secret,
      versionRow({ secretId: secret.id, dataKeyId: dataKey.id }),
    );
    const { seq, hash } = await tx.audit.lockHead();
    await tx.audit.append([auditRow({ seq: seq + 1, prev: hash })]);
    if (hold !== undefined) {
      console.log("in transaction");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    }
  });
}
await store.close();
console.log("done");
