// One of the processes of the group `rotation`: `node rotation-child.ts rotate|bare|write FOLDER [ROWS]`. `rotate` seals the whole vault again;
// `bare` does the least that such work has to do on a copy of its database; `write` writes one secret after the other until its
// standard input ends. Each prints what it measured as JSON.
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from "node:crypto";
import path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { openVault } from "@lango/vault";
import Database from "better-sqlite3-multiple-ciphers";
import { unlock } from "./rotation-vault.ts";

const MEBIBYTE = 1024 * 1024;

const rotate = async (home: string) => {
  await using vault = await openVault({ home, unlock });
  globalThis.gc?.();
  await sleep(200);
  const before = process.memoryUsage.rss();
  let most = before;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  const { resealed } = await vault.rotation.start({
    onProgress: () => {
      most = Math.max(most, process.memoryUsage.rss());
    },
  });
  const ms = performance.now() - start;
  delay.disable();
  return {
    rows: resealed,
    ms,
    grewMib: (most - before) / MEBIBYTE,
    // The timer itself comes a millisecond late.
    delayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - 1),
  };
};

/**
 * SELECT, AES-256-GCM open, AES-256-GCM seal, UPDATE, 250 rows in a transaction: no audit, no MAC, no check, no journal. Then, on a
 * clock of its own, what a rotation does as well: every value is read once more and opened.
 */
const bare = (home: string) => {
  const database = new Database(path.join(home, "bare.db"));
  database.exec("pragma journal_mode = wal; pragma synchronous = normal");
  const key = createSecretKey(randomBytes(32));
  const aad = randomBytes(150);
  database.exec(`
    drop table if exists versions;
    create table versions (id text not null, version integer not null, key_id text not null, sealed blob not null, primary key (id, version));
    create index versions_key on versions (key_id)`);
  const insert = database.prepare("insert into versions values (?, 1, 'old', ?)");
  const seal = (value: Uint8Array): Buffer => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    cipher.setAAD(aad);
    return Buffer.concat([nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
  };
  const open = (sealed: Uint8Array): Buffer => {
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
    decipher.setAAD(aad);
    decipher.setAuthTag(sealed.subarray(-16));
    const value = decipher.update(sealed.subarray(12, -16));
    decipher.final();
    return value;
  };
  const rows = Number(process.argv[4]);
  database.transaction(() => {
    for (let i = 0; i < rows; i++)
      insert.run(randomBytes(12).toString("hex"), seal(randomBytes(64)));
  })();
  const select = database.prepare(
    "select id, version, sealed from versions where key_id = 'old' limit 250",
  );
  const update = database.prepare(
    "update versions set sealed = ?, key_id = 'new' where id = ? and version = ?",
  );
  const start = performance.now();
  let done = 0;
  for (;;) {
    const batch = select.all() as { id: string; version: number; sealed: Uint8Array }[];
    if (batch.length === 0) break;
    const sealed = batch.map((row) => seal(open(row.sealed)));
    database.transaction(() => {
      for (const [i, { id, version }] of batch.entries()) update.run(sealed[i], id, version);
    })();
    done += batch.length;
  }
  const ms = performance.now() - start;
  const page = database.prepare(
    "select rowid as place, sealed from versions where rowid > ? order by rowid limit 250",
  );
  for (let place = 0; ; ) {
    const rows = page.all(place) as { place: number; sealed: Uint8Array }[];
    for (const row of rows) open(row.sealed);
    const last = rows.at(-1);
    if (!last) break;
    place = last.place;
  }
  const withCheckMs = performance.now() - start;
  database.close();
  return { rows: done, ms, withCheckMs };
};

const write = async (home: string) => {
  await using vault = await openVault({ home, unlock });
  let ended = false;
  process.stdin.on("end", () => {
    ended = true;
  });
  process.stdin.resume();
  const took: number[] = [];
  process.stderr.write("ready\n");
  for (let i = 0; !ended; i++) {
    const start = performance.now();
    await vault.secrets.set(`other/${i % 10}`, randomBytes(64));
    took.push(performance.now() - start);
    await sleep(5);
  }
  took.sort((a, b) => a - b);
  return { writes: took.length, p99Ms: took[Math.floor(took.length * 0.99)] };
};

const [work = "", home = ""] = process.argv.slice(2);
const works: Readonly<Record<string, (home: string) => unknown>> = { rotate, bare, write };
process.stdout.write(JSON.stringify(await works[work]?.(home)));
