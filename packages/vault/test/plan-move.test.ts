import { randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";
import { SCHEMA_VERSION } from "@lango/store";
import { expect, test } from "vitest";
import { newDatabaseUrl, POSTGRES_PASSWORD } from "../../../tooling/vitest/postgres.ts";
import { asOwner } from "../../store/test/postgres-server.ts";
import { moveVault, planMove } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, withPassphrase } from "./helpers.ts";

const schemaOf = (url: string): string => new URL(url).searchParams.get("schema") ?? "";

const filledHome = async (): Promise<string> => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("1"));
  await vault.close();
  return home;
};

const move = (home: string, to: { url: string } | "home", store?: { url: string }) =>
  moveVault({ home, to, store, unlock: withPassphrase(), switchOver: async () => undefined });

test("a plan says what is there, what would be copied, and leaves both places as they are", async () => {
  const home = await filledHome();
  const url = await newDatabaseUrl();
  const [plan, files] = [() => planMove({ home, to: { url } }), readdirSync(home)];
  const first = await plan();
  expect(first).toMatchObject({
    ...{ target: "nothing", secretCount: 1, keyCount: 1, rows: expect.any(Number) },
    server: { server: expect.stringMatching(/^\d+/), role: "lango", tls: false },
  });
  expect(first.to).not.toContain(encodeURIComponent(POSTGRES_PASSWORD));
  const schemas = await asOwner(`select 1 from pg_namespace where nspname = '${schemaOf(url)}'`);
  expect(schemas.rowCount).toBe(0);
  expect(readdirSync(home)).toEqual(files);

  const moved = await move(home, { url });
  // The move itself adds to the log.
  expect(moved.rows - (first.rows ?? 0)).toBeOneOf([1, 2]);
  const back = await planMove({ home, store: { url }, to: "home" });
  expect(back).toMatchObject({ target: "nothing", server: undefined });
  await move(home, "home", { url });
  expect(await plan()).toMatchObject({ target: "left", server: { schemaVersion: SCHEMA_VERSION } });

  const schema = schemaOf(url);
  await asOwner(`delete from "${schema}".migrations where version = ${SCHEMA_VERSION}`);
  expect(await plan()).toMatchObject({ target: "older" });
});

test("a plan says of a move that died on the way that it is half-filled", async () => {
  const home = await filledHome();
  const url = await newDatabaseUrl();
  const dies = moveVault({
    ...{ home, to: { url }, unlock: withPassphrase() },
    switchOver: () => Promise.reject(new Error("died")),
  });
  await expect(dies).rejects.toThrow("died");
  expect(await planMove({ home, to: { url } })).toMatchObject({ target: "half-filled" });
  const elsewhere = { url: await newDatabaseUrl() };
  const error = await expectCode(planMove({ home, to: elsewhere }), "ERR_CONFLICT");
  expect(error.message).toContain("was moved to");
});

test("a plan fails as the move would", async () => {
  const home = await filledHome();
  const url = await newDatabaseUrl();
  const plan = (changed: string) => planMove({ home, to: { url: changed }, busyTimeoutMs: 100 });
  await (await makeVault(newHome(), undefined, { store: { url } })).close();
  await expectCode(plan(url), "ERR_CONFLICT");
  await expectCode(planMove({ home, to: "home" }), "ERR_CONFLICT");
  await expectCode(planMove({ home: newHome(), to: { url } }), "ERR_LOCKED");
  const unreachable = new URL(url);
  unreachable.port = "1";
  await expectCode(plan(unreachable.href), "ERR_UNAVAILABLE");
  const noDatabase = new URL(url);
  noDatabase.pathname = "/nowhere";
  await expectCode(plan(noDatabase.href), "ERR_NOT_FOUND");
  const denied = new URL(url);
  denied.password = "wrong";
  await expectCode(plan(denied.href), "ERR_ACCESS_DENIED");
  await expectCode(plan("postgres://u@db.example/x?sslmode=disable"), "ERR_CONFIG");
});

test("a plan names a role without the rights, in whatever state the new place is", async () => {
  const home = await filledHome();
  const url = new URL(await newDatabaseUrl());
  const role = `weak_${randomUUID().slice(0, 8)}`;
  const schema = schemaOf(url.href);
  await asOwner(`create role ${role} login password '${POSTGRES_PASSWORD}'`);
  const plan = () =>
    planMove({ home, to: { url: Object.assign(new URL(url), { username: role }).href } });
  const refused = async () => (await expectCode(plan(), "ERR_ACCESS_DENIED")).message;
  expect(await refused()).toContain(`the role ${role} may not make tables there`);
  await asOwner(`create schema ${schema}; grant usage on schema ${schema} to ${role}`);
  expect(await refused()).toContain("may not make tables there");
  await asOwner(`grant create on schema ${schema} to ${role}`);
  expect(await plan()).toMatchObject({ target: "nothing", server: { role } });
  await (await makeVault(newHome(), undefined, { store: { url: url.href } })).close();
  await asOwner(`grant select, insert on all tables in schema ${schema} to ${role}`);
  expect(await refused()).toContain("may not empty and fill its tables");
});
