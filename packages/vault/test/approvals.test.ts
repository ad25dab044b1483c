import { createHmac } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex, utf8 } from "@lango/crypto-core";
import { hkdf, openSlot, parseKeyslots, parts } from "@lango/envelope";
import { describe, expect, test } from "vitest";
import type { ApprovalPolicy, GrantedAction, NewGrant, NewHandle, Vault } from "../src/index.ts";
import { acceptRollback } from "../src/index.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  reopen,
  text,
  withPassphrase,
} from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

const ACTION: GrantedAction = {
  session: "s1",
  tool: "exec",
  secret: "db/password",
  destination: "db.example.org:5432",
  binary: "/usr/bin/psql",
  argv: ["psql", "-h", "db.example.org"],
  cwd: "/srv",
  amount: "1.00 USDC",
  arguments: { query: "select 1" },
};

const grantOf = (grant: Partial<NewGrant> = {}): NewGrant => ({
  scope: "minutes",
  action: ACTION,
  dangerous: false,
  by: "terminal",
  minutes: 5,
  ...grant,
});

const BOX: NewHandle = {
  secret: "api/key",
  session: "s1",
  tool: "http_request",
  destination: "api.example.org:443",
};

/** A clock that a test sets. */
const clockAt = (start: number) => {
  const clock = { now: start, read: () => clock.now };
  return clock;
};

const edit = (home: string, statement: string): void => {
  const database = new Sqlite(join(home, "lango.db"), {});
  expect(database.prepare(statement).run().changes, statement).toBeGreaterThan(0);
  database.close();
};

const sound = async (vault: Vault): Promise<void> => {
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
};

const actions = async (vault: Vault): Promise<string[]> =>
  (await vault.audit.tail(1000)).map(({ action }) => action);

test("commits by a key of the vault over the canonical form", async () => {
  const vault = await makeVault(newHome());
  const other = await makeVault(newHome());
  const request = { tool: "exec", id: "1", expiry: 5 };
  const same = { expiry: 5, id: "1", tool: "exec" };
  expect(vault.approvals.commit(request)).toEqual(vault.approvals.commit(same));
  expect(vault.approvals.commit(request)).toHaveLength(32);
  expect(vault.approvals.commit(request)).not.toEqual(other.approvals.commit(request));
  await vault.close();
  await expectCode(async () => vault.approvals.commit(request), "ERR_CLOSED");
});

test("commits as docs/formats.md says, so that a stranger with the vault key can check it", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  const keyslots = parseKeyslots(readFileSync(join(home, "keyslots.json")));
  const vaultKey = await openSlot(keyslots, keyslots.slots[0]!, bytes(PASSPHRASE));
  const key = hkdf(vaultKey, fromHex(vault.id)!, "lango/v1/approvals");
  const request = { tool: "exec", id: "1" };
  const mac = createHmac("sha256", key)
    .update(parts(utf8("lango/v1/commitment"), utf8('{"id":"1","tool":"exec"}')))
    .digest();
  expect(vault.approvals.commit(request)).toEqual(new Uint8Array(mac));
});

test("what is recorded is in the log, with its outcome", async () => {
  const vault = await makeVault(newHome());
  const request = {
    id: "ab12",
    commitment: new Uint8Array(32).fill(1),
    session: "s",
    tool: "exec",
  };
  await vault.approvals.record({ kind: "request", request });
  const evidence = bytes("signature");
  await vault.approvals.record({ kind: "approve", request, via: "phone", by: "Ada", evidence });
  await vault.approvals.record({ kind: "deny", request, reason: "a person said no" });
  await vault.approvals.record({ kind: "expire", request });
  const history = await vault.approvals.history();
  expect(history).toMatchObject([
    {
      action: "approval.request",
      target: "ab12",
      outcome: "success",
      actor: { kind: "agent" },
      about: { tool: "exec", session: "s", commitment: "01".repeat(32) },
    },
    {
      action: "approval.approve",
      about: { via: "phone", by: "Ada", evidence: expect.any(String) },
    },
    { action: "approval.deny", outcome: "failure", code: "ERR_DENIED", detail: "a person said no" },
    { action: "approval.expire", outcome: "failure", code: "ERR_APPROVAL_TIMEOUT" },
  ]);
  expect(await vault.approvals.history(1)).toHaveLength(1);
  await expectCode(() => vault.approvals.history(0), "ERR_INVALID_ARGUMENT");
  await sound(vault);
});

describe("a grant", () => {
  /** What may differ from the grant, and what may not. */
  const CHANGES = {
    session: "s2",
    tool: "mail",
    secret: "other",
    destination: "evil.example.org:5432",
    binary: "/tmp/psql",
    argv: ["psql", "-h", "evil.example.org"],
    cwd: "/tmp",
    amount: "2.00 USDC",
    arguments: { query: "drop table t" },
  } as const;
  const FREE: Record<NewGrant["scope"], readonly string[]> = {
    minutes: [],
    "process-tree": ["session", "argv", "cwd", "arguments"],
    command: ["arguments"],
    destination: ["argv", "cwd", "arguments"],
  };

  test.each(Object.keys(FREE) as NewGrant["scope"][])(
    "of scope %s holds for what is equal in it",
    async (scope) => {
      const vault = await makeVault(newHome());
      const process = scope === "process-tree" ? "linux:boot:7:9" : undefined;
      const { id } = await vault.approvals.grants.add(grantOf({ scope, process }));
      const processes = ["linux:boot:8:9", "linux:boot:7:9"];
      const match = (action: GrantedAction) =>
        vault.approvals.grants.match({ action, dangerous: false, processes });
      expect(await match(ACTION)).toMatchObject({ id, uses: 1, by: "terminal" });
      for (const [field, value] of Object.entries(CHANGES)) {
        // Not there is not the same as any.
        for (const other of [value, undefined]) {
          const action = { ...ACTION, [field]: other } as unknown as GrantedAction;
          const found = await match(action).catch(() => undefined);
          expect(found?.id, `${field}: ${other}`).toBe(
            FREE[scope].includes(field) ? id : undefined,
          );
        }
      }
      if (process) {
        const query = { action: ACTION, dangerous: false };
        expect(await vault.approvals.grants.match(query)).toBeUndefined();
        const others = { ...query, processes: ["linux:boot:8:9"] };
        expect(await vault.approvals.grants.match(others)).toBeUndefined();
      }
      await sound(vault);
    },
  );

  test("for any session holds in any, where the scope allows it", async () => {
    const vault = await makeVault(newHome());
    const { add, match } = vault.approvals.grants;
    for (const scope of ["minutes", "process-tree"] as const) {
      await expectCode(
        () => add(grantOf({ scope, anySession: true, process: "p" })),
        "ERR_INVALID_ARGUMENT",
      );
    }
    const grant = await add(grantOf({ scope: "command", anySession: true }));
    expect(grant.session).toBeUndefined();
    const elsewhere = { ...ACTION, session: "s9" };
    expect(await match({ action: elsewhere, dangerous: false })).toMatchObject({ id: grant.id });
  });

  test("of who is no approver never holds for a dangerous action", async () => {
    const vault = await makeVault(newHome());
    const { add, match } = vault.approvals.grants;
    await add(grantOf());
    expect(await match({ action: ACTION, dangerous: true })).toBeUndefined();
    const { id } = await add(grantOf({ dangerous: true }));
    expect(await match({ action: ACTION, dangerous: true })).toMatchObject({ id });
  });

  test("is counted, spent, revoked and too old, each in the log", async () => {
    const home = newHome();
    const clock = clockAt(1_800_000_000_000);
    const vault = await makeVault(home, PASSPHRASE, { clock: clock.read });
    const { add, match, list, revoke } = vault.approvals.grants;
    const query = { action: ACTION, dangerous: false };
    const twice = await add(grantOf({ maxUses: 2 }));
    expect((await match(query))?.uses).toBe(1);
    expect((await match(query))?.uses).toBe(2);
    expect(await match(query)).toBeUndefined();
    expect(await list()).toEqual([]);

    const revoked = await add(grantOf());
    expect(await list()).toEqual([revoked]);
    await revoke(revoked.id);
    expect(await match(query)).toBeUndefined();
    await expectCode(() => revoke(revoked.id), "ERR_NOT_FOUND");
    await expectCode(() => revoke("no id"), "ERR_NOT_FOUND");

    await add(grantOf({ minutes: 5 }));
    clock.now += 5 * 60_000 - 1;
    expect(await match(query)).toBeDefined();
    clock.now += 1;
    expect(await match(query)).toBeUndefined();
    const log = await actions(vault);
    expect(log.filter((action) => action === "grant.use")).toHaveLength(3);
    expect(log.filter((action) => action === "grant.add")).toHaveLength(3);
    expect(log).toContain("grant.revoke");
    expect(twice.id).not.toBe(revoked.id);
    await sound(vault);
  });

  test("does not hold while the clock is before its creation or its last use", async () => {
    const clock = clockAt(1_800_000_000_000);
    const vault = await makeVault(newHome(), PASSPHRASE, { clock: clock.read });
    const { add, match, list } = vault.approvals.grants;
    const query = { action: ACTION, dangerous: false };
    await add(grantOf({ minutes: 10 }));
    clock.now -= 1;
    expect(await match(query)).toBeUndefined();
    clock.now += 8 * 60_000;
    expect(await match(query)).toBeDefined();
    // Set back by five minutes, it would otherwise hold for fifteen in all.
    clock.now -= 5 * 60_000;
    expect(await match(query)).toBeUndefined();
    expect(await list()).toEqual([]);
    clock.now += 6 * 60_000;
    expect(await match(query)).toBeDefined();
  });

  test.each([
    "UPDATE permits SET expires_at = expires_at + 1000000",
    "UPDATE permits SET dangerous = 1",
    "UPDATE permits SET uses = 0",
    "UPDATE permits SET max_uses = NULL",
    `UPDATE permits SET terms = replace(terms, 's1', 's2')`,
    "UPDATE permits SET approved_by = 'owner'",
  ])("that was changed is ERR_INTEGRITY: %s", async (statement) => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.approvals.grants.add(grantOf({ maxUses: 5 }));
    await vault.approvals.grants.match({ action: ACTION, dangerous: false });
    await vault.close();
    edit(home, statement);
    const again = await reopen(home);
    const query = { action: ACTION, dangerous: false };
    await expectCode(() => again.approvals.grants.match(query), "ERR_INTEGRITY");
    await expectCode(() => again.approvals.grants.list(), "ERR_INTEGRITY");
    const { ok } = await again.audit.verify({ rows: true });
    expect(ok).toBe(false);
    expect(await actions(again)).toContain("grant.use");
  });

  test("that was revoked and is put back by a thief is found by verify", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const { id } = await vault.approvals.grants.add(grantOf());
    const database = new Sqlite(join(home, "lango.db"), {});
    database.exec("create temp table kept as select * from permits");
    await vault.approvals.grants.revoke(id);
    database.exec("insert into permits select * from kept");
    database.close();
    const { ok, faults } = await vault.audit.verify({ rows: true });
    expect(ok).toBe(false);
    expect(faults[0]?.problem).toContain(`Row ${id} of table permits is not in the log`);
  });

  test("does not come back with an older database", async () => {
    const home = newHome();
    const old = newHome();
    const vault = await makeVault(home);
    await vault.approvals.grants.add(grantOf());
    await vault.secrets.set("api/key", bytes("value"));
    await vault.approvals.handles.issue(BOX);
    await vault.close();
    copyFileSync(join(home, "lango.db"), `${old}-lango.db`);
    const changed = await reopen(home);
    const NEW = "another long passphrase";
    await changed.slots.changePassphrase({
      oldPassphrase: bytes(PASSPHRASE),
      newPassphrase: bytes(NEW),
    });
    await changed.close();
    copyFileSync(`${old}-lango.db`, join(home, "lango.db"));
    await acceptRollback({ home, unlock: withPassphrase(NEW) });
    const back = await reopen(home, { passphrase: NEW });
    expect(await back.approvals.grants.list()).toEqual([]);
    await sound(back);
  });

  test.each([
    [{ minutes: 0 }],
    [{ minutes: 43_201 }],
    [{ minutes: 1.5 }],
    [{ maxUses: 0 }],
    [{ by: "" }],
    [{ scope: "process-tree" }],
    [{ scope: "command", action: { session: "s", tool: "t" } }],
    [{ scope: "destination", action: { session: "s", tool: "t" } }],
    [{ action: { session: "", tool: "t" } }],
    [{ action: { session: "s", tool: "t", arguments: { a: Number.NaN } } }],
  ] as [Partial<NewGrant>][])("of %j is refused", async (grant) => {
    const vault = await makeVault(newHome());
    await expectCode(() => vault.approvals.grants.add(grantOf(grant)), "ERR_INVALID_ARGUMENT");
    expect(await vault.approvals.grants.list()).toEqual([]);
  });
});

describe("the policy", () => {
  const POLICY: ApprovalPolicy = {
    enabled: true,
    approvalPolicy: "dangerous",
    sensitiveTools: [],
    exemptTools: [],
  };

  test("is the default until it is set; whoever tightens it needs nobody", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const { policy } = vault.approvals;
    expect(await policy.get()).toEqual(POLICY);
    const strict = { ...POLICY, approvalPolicy: "all", sensitiveTools: ["mail"] } as const;
    await policy.set(strict);
    await vault.close();
    const again = await reopen(home);
    expect(await again.approvals.policy.get()).toEqual(strict);
    expect(await actions(again)).toContain("policy.change");
    await sound(again);
  });

  test.each([
    { approvalPolicy: "none" },
    { approvalPolicy: "configured" },
    { enabled: false },
    { exemptTools: ["exec"] },
    { sensitiveTools: [] },
  ] as Partial<ApprovalPolicy>[])("is loosened by %j, which needs an approver", async (change) => {
    const vault = await makeVault(newHome());
    const { policy, approver } = vault.approvals;
    const before = { ...POLICY, sensitiveTools: ["mail"] };
    await policy.set(before);
    const next = { ...before, ...change };
    await expectCode(() => policy.set(next), "ERR_DENIED");
    await expectCode(() => policy.set(next, { approver: { by: "passphrase" } }), "ERR_DENIED");
    expect(await policy.get()).toEqual(before);
    await policy.set(next, { approver: await approver(bytes(PASSPHRASE)) });
    expect(await policy.get()).toEqual(next);
    const last = (await vault.audit.tail(1))[0];
    expect(last).toMatchObject({ action: "policy.change", about: { by: "passphrase" } });
    await sound(vault);
  });

  test("that was changed outside is ERR_INTEGRITY, and so is one of another subject", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.approvals.policy.set({ ...POLICY, approvalPolicy: "all" });
    await vault.close();
    edit(home, `UPDATE policies SET content = replace(content, '"all"', '"none"')`);
    const again = await reopen(home);
    await expectCode(() => again.approvals.policy.get(), "ERR_INTEGRITY");
  });

  test("an approver is who knows a passphrase of this vault, for a minute in this vault", async () => {
    const vault = await makeVault(newHome());
    await expectCode(
      () => vault.approvals.approver(bytes("a wrong passphrase")),
      "ERR_WRONG_PASSPHRASE",
    );
    expect((await vault.audit.tail(1))[0]).toMatchObject({
      action: "approval.approver",
      outcome: "failure",
    });
    const elsewhere = await makeVault(newHome());
    const approver = await elsewhere.approvals.approver(bytes(PASSPHRASE));
    const loose = { ...POLICY, approvalPolicy: "none" } as const;
    await expectCode(() => vault.approvals.policy.set(loose, { approver }), "ERR_DENIED");
  });
});

describe("where a secret may go", () => {
  const LIST = {
    destinations: ["api.example.org"],
    commands: ["/usr/bin/gh"],
    requiresHandle: false,
  };
  const NOTHING = { destinations: [], commands: [], requiresHandle: false };
  const made = async () => {
    const vault = await makeVault(newHome());
    await vault.secrets.set("api/key", bytes("value"));
    await vault.secrets.set("wallet/seed", bytes("value"));
    const approver = await vault.approvals.approver(bytes(PASSPHRASE));
    return { vault, approver, ...vault.approvals.destinations };
  };

  test("is nowhere without asking, until an approver says it", async () => {
    const { vault, approver, get, set } = await made();
    expect(await get("api/key")).toEqual(NOTHING);
    await expectCode(() => set("api/key", LIST), "ERR_DENIED");
    await set("api/key", LIST, { approver });
    expect(await get("api/key", { audience: "agent" })).toEqual(LIST);
    expect(await vault.secrets.list()).toMatchObject([{ name: "api/key", ...LIST }, NOTHING]);
    await sound(vault);
  });

  test("is narrowed by anybody; opened, also by leaving out all of it, by an approver", async () => {
    const { approver, get, set } = await made();
    await set("api/key", LIST, { approver });
    const fewer = { ...LIST, commands: [], requiresHandle: true };
    await set("api/key", fewer);
    expect(await get("api/key")).toEqual(fewer);
    for (const next of [
      NOTHING,
      { ...fewer, requiresHandle: false },
      { ...fewer, commands: ["/a"] },
    ]) {
      await expectCode(() => set("api/key", next), "ERR_DENIED");
    }
  });

  test("is not told of names that agents may not see, or that are not there", async () => {
    const { get, set } = await made();
    expect(await get("wallet/seed", { audience: "agent" })).toBeUndefined();
    expect(await get("nothing", { audience: "agent" })).toBeUndefined();
    expect(await get("wallet/seed")).toEqual(NOTHING);
    await expectCode(() => set("nothing", NOTHING), "ERR_NOT_FOUND");
  });

  test("ends with the secret: the next one of its name starts anew", async () => {
    const { vault, approver, get, set } = await made();
    await set("api/key", LIST, { approver });
    const { handle } = await vault.approvals.handles.issue(BOX);
    await vault.secrets.delete("api/key");
    expect(await get("api/key")).toBeUndefined();
    await vault.secrets.set("api/key", bytes("another"));
    expect(await get("api/key")).toEqual(NOTHING);
    await expectCode(() => vault.approvals.handles.consume(handle, BOX), "ERR_DENIED");
    await sound(vault);
  });
});

describe("a handle", () => {
  const made = async (clock?: () => number) => {
    const vault = await makeVault(newHome(), PASSPHRASE, clock && { clock });
    await vault.secrets.set("api/key", bytes("value"));
    await vault.secrets.set("wallet/seed", bytes("seed"));
    return { vault, ...vault.approvals.handles };
  };

  test("gives the value once", async () => {
    const { vault, issue, check, consume } = await made();
    const { handle } = await issue({ ...BOX, audience: "agent" });
    expect(handle).toMatch(/^[0-9a-f]{32}$/);
    expect(await check(handle, BOX)).toBe(true);
    expect(text((await consume(handle, BOX)).value)).toBe("value");
    expect(await check(handle, BOX)).toBe(false);
    await expectCode(() => consume(handle, BOX), "ERR_DENIED");
    expect((await actions(vault)).slice(-3)).toEqual([
      "handle.issue",
      "handle.use",
      "handle.refuse",
    ]);
    await sound(vault);
  });

  test("gives it as often as it says, also when all ask at once", async () => {
    const { vault, issue, consume } = await made();
    const { handle } = await issue({ ...BOX, uses: 7 });
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, () => consume(handle, BOX)),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(7);
    const uses = (await actions(vault)).filter((action) => action === "handle.use");
    expect(uses).toHaveLength(7);
    await sound(vault);
  });

  test("is for one session, tool, destination and secret; all that is wrong is one error", async () => {
    const { vault, issue, check, consume } = await made();
    await vault.secrets.set("other", bytes("other"));
    const { handle } = await issue(BOX);
    const unknown = await expectCode(() => consume("0".repeat(32), BOX), "ERR_DENIED");
    const wrong = [
      { ...BOX, session: "s2" },
      { ...BOX, tool: "exec" },
      { ...BOX, destination: "evil.example.org:443" },
      { ...BOX, secret: "other" },
      { ...BOX, secret: "nothing" },
      { ...BOX, secret: "wallet/seed", audience: "agent" as const },
    ];
    for (const use of wrong) {
      expect(await check(handle, use)).toBe(false);
      const error = await expectCode(() => consume(handle, use), "ERR_DENIED");
      expect(error.message).toBe(unknown.message);
    }
    for (const odd of ["", "x", handle.toUpperCase().slice(1), `${handle}0`]) {
      expect(await check(odd, BOX)).toBe(false);
    }
    const refusals = (await vault.audit.tail(100)).filter(
      ({ action }) => action === "handle.refuse",
    );
    expect(refusals).toHaveLength(7);
    expect(refusals[0]).toMatchObject({ detail: "there is no such handle", outcome: "failure" });
    expect(text((await consume(handle, BOX)).value)).toBe("value");
  });

  test("is not issued for names that are hidden or not there, with one error", async () => {
    const { issue } = await made();
    const messages = new Set<string>();
    for (const secret of ["wallet/seed", "nothing"]) {
      const error = await expectCode(
        () => issue({ ...BOX, secret, audience: "agent" }),
        "ERR_DENIED",
      );
      messages.add(error.message);
    }
    expect(messages.size).toBe(1);
    await expectCode(() => issue({ ...BOX, uses: 0 }), "ERR_INVALID_ARGUMENT");
    await expectCode(() => issue({ ...BOX, minutes: 1441 }), "ERR_INVALID_ARGUMENT");
    await expectCode(() => issue({ ...BOX, destination: "" }), "ERR_INVALID_ARGUMENT");
  });

  test("of an owner for a hidden name is none for an agent", async () => {
    const { issue, check, consume } = await made();
    const use = { ...BOX, secret: "wallet/seed" };
    const { handle } = await issue(use);
    const asAgent = { ...use, audience: "agent" as const };
    expect(await check(handle, asAgent)).toBe(false);
    await expectCode(() => consume(handle, asAgent), "ERR_DENIED");
    expect(await check(handle, use)).toBe(true);
    expect(text((await consume(handle, use)).value)).toBe("seed");
  });

  test("gets too old, and does not get younger with the clock", async () => {
    const clock = clockAt(1_800_000_000_000);
    const { issue, check } = await made(clock.read);
    const { handle, expiresAt } = await issue({ ...BOX, minutes: 1 });
    expect(expiresAt).toBe(clock.now + 60_000);
    clock.now -= 1;
    expect(await check(handle, BOX)).toBe(false);
    clock.now += 60_000;
    expect(await check(handle, BOX)).toBe(true);
    clock.now += 1;
    expect(await check(handle, BOX)).toBe(false);
  });

  test("is listed while it holds, without what it takes to use it, and can be taken back", async () => {
    const clock = clockAt(1_800_000_000_000);
    const { vault, issue, list, check, revoke } = await made(clock.read);
    const createdAt = clock.now;
    const first = await issue({ ...BOX, uses: 3, by: "terminal" });
    clock.now += 1;
    const second = await issue({ ...BOX, minutes: 1 });
    const [held, other] = await list();
    expect(held).toEqual({
      ...{ ...BOX, id: held!.id, by: "terminal", uses: 0, maxUses: 3 },
      ...{ createdAt, expiresAt: first.expiresAt },
    });
    expect(JSON.stringify(await list())).not.toContain(first.handle);
    clock.now = second.expiresAt;
    expect(await list()).toEqual([held]);
    await revoke(held!.id);
    expect(await check(first.handle, BOX)).toBe(false);
    expect(await list()).toEqual([]);
    await expectCode(() => revoke(held!.id), "ERR_NOT_FOUND");
    const grant = await vault.approvals.grants.add(grantOf());
    await expectCode(() => revoke(grant.id), "ERR_NOT_FOUND");
    await expectCode(() => vault.approvals.grants.revoke(other!.id), "ERR_NOT_FOUND");
    expect((await actions(vault)).filter((action) => action === "handle.revoke")).toHaveLength(1);
    await sound(vault);
  });

  test("counts as a use of its secret", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("api/key", bytes("value"));
    const { handle } = await vault.approvals.handles.issue({ ...BOX, uses: 2 });
    await vault.approvals.handles.consume(handle, BOX);
    await vault.approvals.handles.consume(handle, BOX);
    await vault.close();
    expect(await (await reopen(home)).secrets.list()).toMatchObject([{ uses: 2 }]);
  });

  test("is one of at most 1,000 of its secret; those that are over make room, and go", async () => {
    const clock = clockAt(1_800_000_000_000);
    const { vault, issue, consume } = await made(clock.read);
    const short = await issue({ ...BOX, minutes: 1 });
    const spent = await issue(BOX);
    await consume(spent.handle, BOX);
    for (let i = 1; i < 1000; i++) await issue({ ...BOX, minutes: 60 });
    const full = await expectCode(() => issue(BOX), "ERR_CONFLICT");
    expect(full.context.hint).toMatch(/[Rr]evoke/);
    // Another secret has its own.
    await issue({ ...BOX, secret: "wallet/seed" });
    clock.now = short.expiresAt;
    const last = await issue({ ...BOX, minutes: 60 });
    expect(text((await consume(last.handle, BOX)).value)).toBe("value");
    await sound(vault);
    await vault.close();
    const database = new Sqlite(join(vault.home, "lango.db"), { readonly: true });
    expect(database.prepare("SELECT count(*) AS n FROM permits").get()).toEqual({ n: 1001 });
    database.close();
  });

  test("that was changed in the database is refused", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("api/key", bytes("value"));
    const { handle } = await vault.approvals.handles.issue(BOX);
    await vault.close();
    edit(home, "UPDATE permits SET max_uses = 99");
    const again = await reopen(home);
    await expectCode(() => again.approvals.handles.check(handle, BOX), "ERR_INTEGRITY");
    await expectCode(() => again.approvals.handles.consume(handle, BOX), "ERR_INTEGRITY");
  });

  test("is not in the database, and no grant can stand in for one", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("api/key", bytes("value"));
    const { handle } = await vault.approvals.handles.issue(BOX);
    const grant = await vault.approvals.grants.add(grantOf());
    await vault.close();
    const file = readFileSync(join(home, "lango.db"));
    expect(file.includes(handle)).toBe(false);
    expect(file.includes(Buffer.from(fromHex(handle)!))).toBe(false);
    edit(home, "UPDATE permits SET kind = 'handle' WHERE kind = 'grant'");
    const again = await reopen(home);
    expect(await again.approvals.handles.check(grant.id, BOX)).toBe(false);
    expect((await again.audit.verify({ rows: true })).ok).toBe(false);
  });
});
