import { mkdtempSync } from "node:fs";
import { createVault, openVault } from "@lango/vault";
import { passphrase, unlock } from "./rotation-vault.ts";
const N = Number(process.argv[2]);
const home = `${mkdtempSync("/dev/shm/renew-")}/home`;
const vault = await createVault({ home, credentials: [{ kind: "passphrase", passphrase: passphrase() }] });
const cpu = async <T>(what: string, run: () => Promise<T>): Promise<T> => {
  const before = process.cpuUsage(); const t = performance.now(); const rss = process.memoryUsage().rss;
  const result = await run();
  const { user, system } = process.cpuUsage(before);
  console.log(what, Math.round((user + system) / 1000), "ms CPU", Math.round(performance.now() - t), "ms", Math.round((process.memoryUsage().rss - rss) / 2 ** 20), "MiB");
  return result;
};
await cpu("fill", async () => {
  for (let i = 0; i < N; i += 50) await Promise.all(Array.from({ length: 50 }, (_, k) => vault.secrets.set(`n/${i + k}`, new Uint8Array(64).fill(k))));
});
await cpu("verify", () => vault.audit.verify());
await cpu("verify rows", () => vault.audit.verify({ rows: true }));
const slots = await vault.slots.list();
const { vault: next } = await cpu("rekey compromised", () => vault.rekey({ compromised: true, credentials: slots.map(({ id }) => ({ slotId: id, credential: { kind: "passphrase", passphrase: passphrase() } })) }));
await cpu("rotation", () => next.rotation.start());
if (process.argv[3]) await cpu("renew accepted", () => next.renewRows({ acceptFaults: true }));
else await cpu("renew", () => next.renewRows());
await next.close();
console.log((await openVault({ home, unlock } as never)).id);
process.exit(0);
