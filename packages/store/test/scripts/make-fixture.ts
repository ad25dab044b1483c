// Makes the fixture of a release: a database with a row of everything, and what its reads must return.
// `node --conditions=@lango/source test/scripts/make-fixture.ts v1`. Run once for a schema version, never again.
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openStore } from "@lango/store";
import { readAll } from "../read-all.ts";
import {
  auditRow,
  bytes,
  dataKeyRow,
  keyRow,
  keyVersionRow,
  secretRow,
  vaultRow,
  versionRow,
} from "../rows.ts";

const folder = fileURLToPath(new URL(`../fixtures/${process.argv[2]}`, import.meta.url));
mkdirSync(folder, { recursive: true });
const home = mkdtempSync(join(folder, "home-"));
const store = await openStore({ file: join(home, "lango.db"), mode: "create" });
const key = keyRow();
const signing = keyRow({
  name: "release",
  type: "signing",
  algorithm: "ECDSA-P256-SHA256",
  publicKey: bytes(91),
});
const old = dataKeyRow({ keyId: key.id, messages: 16, bytes: 1600 });
const dataKey = dataKeyRow({ keyId: key.id, degraded: true, createdAt: old.createdAt + 1 });
const secret = secretRow({ keyId: key.id, name: "api/token" });
const gone = secretRow({ keyId: key.id, name: "gone" });
await store.transaction("full", async (tx) => {
  await tx.vault.insert(vaultRow({ state: "ready", pendingGeneration: 2, pendingMac: bytes(32) }));
  await tx.keys.insert(key);
  await tx.keys.insert(signing);
  await tx.keys.insertVersion(keyVersionRow({ keyId: signing.id, publicKey: bytes(91) }));
  await tx.dataKeys.insert(old);
  for (const row of [secret, gone]) {
    await tx.secrets.insertSecret(row, versionRow({ secretId: row.id, dataKeyId: old.id }));
  }
  await tx.dataKeys.update({ ...old, state: "decrypt-only", mac: bytes(32) }, old.mac);
  await tx.dataKeys.insert(dataKey);
  const change = {
    id: secret.id,
    keyId: key.id,
    currentVersion: 2,
    updatedAt: 1_700_000_001_000,
    mac: bytes(32),
  };
  const next = versionRow({
    secretId: secret.id,
    dataKeyId: dataKey.id,
    version: 2,
    sealed: bytes(5000),
    size: 4920,
  });
  await tx.secrets.addVersion(change, next, 1);
  await tx.secrets.touch(secret.id, 3, 1_700_000_002_000);
  await tx.secrets.tombstone({ id: gone.id, deletedAt: 1_700_000_003_000, mac: bytes(32) }, 1);
  const first = auditRow({ seq: 1 });
  await tx.audit.append([first, auditRow({ seq: 2, prev: first.hash })]);
});
writeFileSync(join(folder, "rows.json"), `${JSON.stringify(await readAll(store), null, 2)}\n`);
await store.close();
renameSync(join(home, "lango.db"), join(folder, "lango.db"));
rmSync(home, { recursive: true });
