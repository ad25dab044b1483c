// One of many that write or read one secret at once: `load.ts <file or URL> writer|reader <milliseconds>`.
// The last line it prints is JSON: how often it did it, and the codes of the errors that it met.
import { isCryptoError } from "@lango/crypto-core";
import { openStore } from "@lango/store";
import { auditRow, bytes, versionRow } from "../rows.ts";
import { placeOf } from "./place.ts";

const [place, role, duration] = process.argv.slice(2) as [string, string, string];
const store = await openStore({
  ...placeOf(place),
  mode: role === "reader" ? "read" : "open",
  busyTimeoutMs: 30_000,
});
const errors: Record<string, number> = {};
let done = 0;
let seen = 0;

/** The size tells the version, so that a reader sees whether what it got belongs together. */
const isWhole = (row: { readonly size: number; readonly currentVersion: number } | undefined) =>
  row !== undefined && row.size === row.currentVersion && row.currentVersion >= seen;

async function read(): Promise<void> {
  const found = await store.secrets.find("secrets", "shared");
  if (!isWhole(found)) throw new Error(`torn: ${found?.currentVersion} after ${seen}`);
  seen = found?.currentVersion ?? 0;
  const [last] = await store.audit.tail(1);
  if (last !== undefined && last.seq + 1 < seen) throw new Error("the audit is behind the secret");
}

/** Reads before the transaction or in it: only the former may find that another was faster. */
async function write(readFirst: boolean): Promise<void> {
  const before = await store.secrets.find("secrets", "shared");
  await store.transaction("normal", async (tx) => {
    const current = readFirst ? before : await tx.secrets.find("secrets", "shared");
    if (current === undefined) throw new Error("no secret");
    const { id, keyId, dataKeyId, currentVersion: ifVersion } = current;
    const version = ifVersion + 1;
    await tx.secrets.addVersion(
      { id, keyId, currentVersion: version, updatedAt: 1, mac: bytes(32) },
      versionRow({ secretId: id, dataKeyId, version, size: version }),
      ifVersion,
    );
    await tx.secrets.pruneVersions(id, 3);
    await tx.dataKeys.reserve(dataKeyId, 1, 1);
    const { seq, hash } = await tx.audit.lockHead();
    await tx.audit.append([auditRow({ seq: seq + 1, prev: hash })]);
  });
}

console.log("ready");
await new Promise((resolve) => process.stdin.once("data", resolve));
process.stdin.destroy();
const until = performance.now() + Number(duration);
for (let turn = 0; performance.now() < until; turn++) {
  const readFirst = turn % 2 === 0;
  try {
    await (role === "reader" ? read() : write(readFirst));
    done++;
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    const expected = error.code === "ERR_CONFLICT" && readFirst ? "faster" : error.code;
    errors[expected] = (errors[expected] ?? 0) + 1;
  }
}
await store.close();
console.log(JSON.stringify({ done, errors }));
