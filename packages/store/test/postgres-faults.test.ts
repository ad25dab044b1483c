import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, connect as dial, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store, StoreTransaction } from "@lango/store";
import { describe, expect, it, onTestFinished } from "vitest";
import { startPostgres } from "../../../tooling/services/postgres.ts";
import {
  newDatabaseUrl as newUrl,
  POSTGRES_PASSWORD as PASSWORD,
  sharedPostgres,
} from "../../../tooling/vitest/postgres.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { postgresDialect } from "../src/dialect.ts";
import { SCHEMA_VERSION } from "../src/migrations.ts";
import { parseAddress } from "../src/postgres/address.ts";
import { begin, commit } from "../src/postgres/begin.ts";
import { loadPg } from "../src/postgres/driver.ts";
import { LIMITS, Link, PreparedStatements } from "../src/postgres/link.ts";
import { fails, insertKeys, open, tempHome } from "./helpers.ts";
import { addressOf, asOwner, withPassword } from "./postgres-server.ts";
import { auditRow, keyRow } from "./rows.ts";

const newStore = async (busyTimeoutMs = 10_000) =>
  open({ url: await newUrl(), mode: "create", busyTimeoutMs });

/** Ends connections to the server that match a condition on pg_stat_activity. */
const terminate = async (condition: string): Promise<number> => {
  const sql = `select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend' and ${condition}`;
  return (await asOwner(sql)).rowCount ?? 0;
};

describe("a server that goes away", () => {
  it("reads and new transactions wait until it is back; what was committed is there", async () => {
    const store = await newStore();
    await store.transaction("full", insertKeys);
    const server = await sharedPostgres();
    for (const mode of ["immediate", "fast"] as const) {
      await server.halt(mode);
      const name = `after ${mode}`;
      const work = Promise.all([
        store.keys.findByName("default"),
        store.counts(),
        store.transaction("full", (tx) => tx.keys.insert(keyRow({ name }))),
        store.withLock(async () => "locked"),
      ]);
      await sleep(300);
      await server.resume();
      const [found, , , lock] = await work;
      expect(found).toMatchObject({ name: "default" });
      expect(lock).toBe("locked");
      expect(await store.keys.findByName(name)).toBeDefined();
    }
    expect(await store.integrityCheck()).toEqual([]);
  });

  it("one that stays away is ERR_UNAVAILABLE, retryable, and closing does not hang", async () => {
    const store = await newStore(200);
    const server = await sharedPostgres();
    await server.halt("fast");
    try {
      const errors = [
        await fails("ERR_UNAVAILABLE", store.keys.list()),
        await fails("ERR_UNAVAILABLE", store.transaction("full", insertKeys)),
        await fails(
          "ERR_UNAVAILABLE",
          open({ url: withPassword(store), mode: "open", busyTimeoutMs: 50 }),
        ),
      ];
      for (const error of errors) expect(error.retryable).toBe(true);
      await store.close();
      await fails("ERR_CLOSED", store.keys.list());
    } finally {
      await server.resume();
    }
  });

  it("a read whose connection is ended is made again", async () => {
    const store = await newStore();
    await store.transaction("full", insertKeys);
    for (let round = 0; round < 5; round++) {
      const reads = Array.from({ length: 20 }, () => store.keys.list());
      await terminate("true");
      for (const keys of await Promise.all(reads)) expect(keys).toHaveLength(1);
    }
  });
});

describe("a transaction whose connection is ended", () => {
  it.each(["fast" as const, "immediate" as const, "pg_terminate_backend" as const])(
    "by %s wrote nothing, may be repeated, and the store goes on",
    async (way) => {
      const store = await newStore();
      const server = await sharedPostgres();
      const broken = store.transaction("full", async (tx) => {
        await insertKeys(tx);
        await tx.audit.append([auditRow({ seq: 1 })]);
        if (way === "pg_terminate_backend") {
          expect(await terminate("state = 'idle in transaction'")).toBe(1);
        } else {
          await server.halt(way);
          await server.resume();
        }
        await tx.keys.list();
      });
      const error = await fails("ERR_UNAVAILABLE", broken);
      expect(error.retryable).toBe(true);
      expect(await store.counts()).toEqual({ secrets: 0, keys: 0, dataKeys: 0, auditRows: 0 });
      await store.transaction("full", insertKeys);
      expect(await store.counts()).toMatchObject({ keys: 1 });
      expect(await store.integrityCheck()).toEqual([]);
    },
  );

  it("cannot commit either when the error was caught", async () => {
    const store = await newStore();
    const broken = store.transaction("full", async (tx) => {
      await insertKeys(tx);
      await terminate("state = 'idle in transaction'");
      await tx.keys.list().catch(() => undefined);
    });
    await fails("ERR_UNAVAILABLE", broken);
    expect(await store.keys.list()).toEqual([]);
  });

  it("before its commit was answered: the outcome is unknown, and nothing is repeated", async () => {
    const server = await sharedPostgres();
    const proxy = await startProxy(server.port);
    const direct = await newStore();
    const url = new URL(withPassword(direct));
    url.port = `${proxy.port}`;
    const store = await open({ url: url.href, mode: "open" });
    // The transaction is committed, and the answer does not arrive.
    proxy.swallowCommit();
    let runs = 0;
    const lost = store.transaction("full", async (tx) => {
      runs++;
      await insertKeys(tx);
    });
    const error = await fails("ERR_UNAVAILABLE", lost);
    expect(error.retryable).toBe(false);
    expect(error.context.hint).toMatch(/unknown/);
    expect(runs).toBe(1);
    expect(await direct.keys.list()).toHaveLength(1);
    expect(await store.keys.list()).toHaveLength(1);
    await store.transaction("full", (tx) => tx.keys.insert(keyRow({ name: "next" })));
    expect(await direct.counts()).toMatchObject({ keys: 2 });
  });
});

describe("a transaction and its first statement", () => {
  const counted = async (application: string) => {
    const url = new URL(await newUrl());
    await (await open({ url: url.href, mode: "create" })).close();
    const proxy = await startProxy((await sharedPostgres()).port);
    Object.assign(url, { port: proxy.port });
    url.searchParams.set("application_name", application);
    const store = await open({ url: url.href, mode: "open" });
    await store.transaction("full", insertKeys);
    return { store, proxy };
  };

  it("go to the server together, and one that asks nothing begins all the same", async () => {
    const { store, proxy } = await counted("together");
    const before = proxy.trips();
    await store.transaction("full", (tx) => tx.keys.list());
    // Beginning and statement, and the commit.
    expect(proxy.trips() - before).toBe(2);
    await store.transaction("full", async () => {
      const open = "application_name = 'together' and state = 'idle in transaction'";
      const count = async () =>
        (await asOwner(`select 1 from pg_stat_activity where ${open}`)).rowCount;
      await expect.poll(count).toBe(1);
    });
  });

  it("are sent again, both, where the connection had ended before", async () => {
    const { store } = await counted("again");
    expect(await terminate("application_name = 'again'")).toBe(2);
    let runs = 0;
    await store.transaction("full", async (tx) => {
      runs += 1;
      await tx.keys.insert(keyRow({ name: "once" }));
      expect(await tx.keys.list()).toHaveLength(2);
    });
    expect(runs).toBe(1);
    expect(await store.counts()).toMatchObject({ keys: 2 });
  });

  it("fail together: what was sent behind a beginning that is refused is not done", async () => {
    const { store } = await counted("refused");
    await asOwner("insert into migrations values (99, 'later', repeat('0', 64), 1)", store);
    const writing = store.transaction("full", (tx) => tx.keys.insert(keyRow({ name: "x" })));
    expect((await fails("ERR_CONFLICT", writing)).message).toContain("version 99");
    const caught = store.transaction("full", (tx) =>
      tx.keys.insert(keyRow({ name: "x" })).catch(() => undefined),
    );
    await fails("ERR_CONFLICT", caught);
    await fails(
      "ERR_CONFLICT",
      store.transaction("full", async () => undefined),
    );
    expect(await store.keys.list()).toHaveLength(1);
    await asOwner("delete from migrations where version = 99", store);
    await store.transaction("full", (tx) => tx.keys.insert(keyRow({ name: "x" })));
    expect(await store.counts()).toMatchObject({ keys: 2 });
  });

  it("fail together also where the server did not begin at all", async () => {
    const { store, proxy } = await counted("never");
    // As a statement that was cancelled before it began; what follows on the connection has no transaction then.
    const attempts = [
      (tx: StoreTransaction) => tx.keys.insert(keyRow({ name: "x" })),
      (tx: StoreTransaction) => tx.keys.insert(keyRow({ name: "x" })).catch(() => undefined),
    ];
    for (const attempt of attempts) {
      proxy.garbleBegin();
      const error = await fails("ERR_INTERNAL", store.transaction("full", attempt));
      expect(error.message).toContain("42601");
      expect(await store.keys.list()).toHaveLength(1);
    }
    await store.transaction("full", (tx) => tx.keys.insert(keyRow({ name: "x" })));
    expect(await store.counts()).toMatchObject({ keys: 2 });
  });
});

it("a lock whose connection was ended is reported, and free", async () => {
  const store = await newStore();
  const work = store.withLock(async () => {
    const holders = "pid in (select pid from pg_locks where locktype = 'advisory' and granted)";
    expect(await terminate(holders)).toBe(1);
    await store.withLock(async () => undefined);
    return "done";
  });
  const error = await fails("ERR_UNAVAILABLE", work);
  expect(error.retryable).toBe(false);
  expect(error.context.hint).toMatch(/outcome/);
});

it("every connection ends with its store", async () => {
  const url = await newUrl();
  const store = await open({ url: `${url}&application_name=leak`, mode: "create" });
  await store.transaction("full", insertKeys);
  await store.withLock(async () => undefined);
  const count = async () =>
    (await asOwner("select 1 from pg_stat_activity where application_name = 'leak'")).rowCount;
  expect(await count()).toBe(2);
  await store.close();
  await expect.poll(count).toBe(0);
});

describe("TLS", () => {
  it("the certificate and its name are checked; nothing is sent to an impostor", async () => {
    const folder = tempHome();
    const [trusted, other] = [makeCertificate(folder, "server"), makeCertificate(folder, "other")];
    const server = await startPostgres(requireService("postgres"), PASSWORD, {
      tls: { cert: readFileSync(trusted.cert, "utf8"), key: readFileSync(trusted.key, "utf8") },
    });
    onTestFinished(() => server.stop());
    const at = (host: string, parameters: string) =>
      open({
        url: `${addressOf(server).replace("127.0.0.1", host)}?${parameters}`,
        mode: "create",
        busyTimeoutMs: 1_000,
      });
    const store = await at("localhost", `sslmode=verify-full&sslrootcert=${trusted.cert}`);
    expect(await encrypted(store, server)).toBe(true);
    await store.close();
    for (const [host, parameters] of [
      ["localhost", "sslmode=verify-full"],
      ["localhost", `sslmode=require&sslrootcert=${other.cert}`],
      // The certificate is for localhost alone.
      ["127.0.0.1", `sslmode=verify-full&sslrootcert=${trusted.cert}`],
    ] as const) {
      const error = await fails("ERR_CONFIG", at(host, parameters));
      expect(error.message).toContain("certificate");
      expect(error.context.hint).toContain("sslrootcert");
    }
  });

  it("a server of another machine that speaks no TLS gets neither name nor password", async () => {
    const { port } = await sharedPostgres();
    const proxy = await startProxy(port, "0.0.0.0");
    const address = new URL(addressOf(await sharedPostgres()));
    // Leads to this machine, and is none of its names: taken for another.
    Object.assign(address, { hostname: "0.0.0.0", port: proxy.port });
    const opening = open({ url: address.href, mode: "create", busyTimeoutMs: 1 });
    expect((await fails("ERR_CONFIG", opening)).message).toContain("does not speak TLS");
    // The request for TLS (PostgreSQL's documentation, 55.7), and nothing after it.
    expect(Buffer.concat(proxy.sent).toString("hex")).toBe("0000000804d2162f");
    for (const mode of ["disable", "allow", "prefer"]) {
      await fails("ERR_CONFIG", open({ url: `${address.href}?sslmode=${mode}`, mode: "create" }));
    }
    expect(proxy.sent).toHaveLength(1);
  });

  it("a server without TLS gets no password", async () => {
    const address = addressOf(await sharedPostgres());
    const error = await fails(
      "ERR_CONFIG",
      open({ url: `${address}?sslmode=verify-full`, mode: "open" }),
    );
    expect(error.message).toContain("TLS");
  });
});

/** Whether the connections of a store use TLS, asked of the server itself. */
async function encrypted(store: Store, server: { output(): string }): Promise<boolean> {
  const { Client } = await import("pg");
  const client = new Client({
    connectionString: withPassword(store).replace(/\?.*/, ""),
    ssl: false,
  });
  await client.connect();
  try {
    const { rows } = await client.query(
      "select bool_and(ssl) as all from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'lango'",
    );
    return rows[0].all;
  } catch (cause) {
    throw new Error(server.output(), { cause });
  } finally {
    await client.end();
  }
}

/** A self-signed certificate for localhost, by its files. */
function makeCertificate(folder: string, name: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const config = join(folder, "openssl.cnf");
  writeFileSync(config, "[req]\ndistinguished_name = dn\n[dn]\n");
  execFileSync(
    requireService("openssl"),
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-config", config, "-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost"],
      ...["-days", "2", "-out", cert, "-keyout", key],
    ],
    { stdio: "pipe" },
  );
  return { cert, key };
}

interface Proxy {
  readonly port: number;
  readonly sent: readonly Buffer[];
  trips(): number;
  swallowCommit(): void;
  /** Of the next transaction. */
  garbleBegin(): void;
}

/** Stands between a store and its server, so that the answer to a commit can be lost, or a beginning refused. */
async function startProxy(port: number, host = "127.0.0.1"): Promise<Proxy> {
  const sent: Buffer[] = [];
  let trips = 0;
  const sockets = new Set<Socket>();
  let swallow = false;
  let garble = false;
  const proxy = createServer((near) => {
    const far = dial(port, "127.0.0.1");
    let committing = false;
    let asked = false;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => [near, far].forEach((end) => void end.destroy()));
    }
    near.on("data", (chunk) => {
      sent.push(chunk);
      if (!asked) trips += 1;
      asked = true;
      // As the last word of a message: others set synchronous_commit.
      committing ||= swallow && chunk.includes("commit\0");
      const begin = garble ? chunk.indexOf("begin isolation") : -1;
      if (begin >= 0) {
        chunk.write("begun", begin);
        garble = false;
      }
      far.write(chunk);
    });
    far.on("data", (chunk) => {
      asked = false;
      if (!committing) return void near.write(chunk);
      swallow = false;
      near.destroy();
    });
  });
  proxy.listen(0, host);
  await once(proxy, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const address = proxy.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    sent,
    trips: () => trips,
    swallowCommit: () => {
      swallow = true;
    },
    garbleBegin: () => {
      garble = true;
    },
  };
}

it("a commit that the server makes a rollback of is an error", async () => {
  const { location } = await newStore();
  const dialect = postgresDialect();
  const place = {
    ...{ address: parseAddress(withPassword({ location })), Client: await loadPg() },
    ...{ dialect, prepared: new PreparedStatements(dialect), timeoutMs: 1000, limits: LIMITS },
  };
  const link = await Link.open(place);
  onTestFinished(() => link.close());
  await begin(link, "full", { place, version: SCHEMA_VERSION });
  await commit(link, location);
  await begin(link, "full", { place, version: SCHEMA_VERSION });
  await link.exec("select 1 / 0").catch(() => undefined);
  const error = await fails("ERR_INTERNAL", commit(link, location));
  expect(error.message).toContain("rolled the transaction back");
});
