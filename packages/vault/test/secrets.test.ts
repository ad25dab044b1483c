import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";

describe("values", () => {
  test("come back, in this process and after opening again", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    expect(await vault.secrets.set("openai/api-key", bytes("sk-abc123"))).toEqual({
      name: "openai/api-key",
      version: 1,
      created: true,
    });
    expect(text((await vault.secrets.get("openai/api-key")).value)).toBe("sk-abc123");
    await vault.close();
    const again = await reopen(home);
    expect(text((await again.secrets.get("openai/api-key")).value)).toBe("sk-abc123");
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  });

  test("of 0 bytes, 1 byte and 1 MiB; one byte more is refused and writes nothing", async () => {
    const vault = await makeVault(newHome());
    for (const size of [0, 1, 1024 * 1024]) {
      const value = new Uint8Array(size).fill(7);
      await vault.secrets.set("size", value);
      const read = await vault.secrets.get("size");
      expect(Buffer.compare(read.value, value)).toBe(0);
      expect(Object.getPrototypeOf(read.value)).toBe(Uint8Array.prototype);
    }
    const rows = (await vault.audit.verify()).rows;
    await expectCode(
      () => vault.secrets.set("size", new Uint8Array(1024 * 1024 + 1)),
      "ERR_INVALID_ARGUMENT",
    );
    await expectCode(() => vault.secrets.set("size", "text" as never), "ERR_INVALID_ARGUMENT");
    expect((await vault.audit.verify()).rows).toBe(rows);
    expect((await vault.secrets.get("size")).version).toBe(3);
  });

  test("are not changed and not kept", async () => {
    const vault = await makeVault(newHome());
    const value = bytes("kept as it is");
    await vault.secrets.set("a", value);
    expect(text(value)).toBe("kept as it is");
    value.fill(0);
    const first = await vault.secrets.get("a");
    first.value.fill(0);
    expect(text((await vault.secrets.get("a")).value)).toBe("kept as it is");
  });
});

describe("names", () => {
  test.each(["a", "A.b_c-d/e", "x".repeat(256), ".hidden", "a./b"])("%s is one", async (name) => {
    const vault = await makeVault(newHome());
    await vault.secrets.set(name, bytes("v"));
    expect((await vault.secrets.list()).map((secret) => secret.name)).toEqual([name]);
    expect(text((await vault.secrets.get(name)).value)).toBe("v");
  });

  test.each(["", "x".repeat(257), "/a", "a/", "a..b", "a b", "ä", "a\n", "a@1", "__proto__\0", 5])(
    "%j is none, in every operation",
    async (name) => {
      const vault = await makeVault(newHome());
      const rows = (await vault.audit.verify()).rows;
      const wrong = name as string;
      for (const run of [
        () => vault.secrets.set(wrong, bytes("v")),
        () => vault.secrets.get(wrong),
        () => vault.secrets.history(wrong),
        () => vault.secrets.rollback(wrong, 1),
        () => vault.secrets.delete(wrong),
      ]) {
        const error = await expectCode(run, "ERR_INVALID_ARGUMENT");
        // People paste values where names belong.
        if (typeof name === "string" && name.length > 3) expect(error.message).not.toContain(name);
      }
      expect((await vault.audit.verify()).rows).toBe(rows);
    },
  );

  test("that mean something to JavaScript are names like others", async () => {
    const vault = await makeVault(newHome());
    for (const name of ["__proto__", "constructor", "toString"]) {
      await expectCode(() => vault.secrets.get(name), "ERR_NOT_FOUND");
      await vault.secrets.set(name, bytes(name));
      expect(text((await vault.secrets.get(name)).value)).toBe(name);
    }
  });
});

describe("versions", () => {
  test("count up, the ten newest are kept, any kept one can be read", async () => {
    const vault = await makeVault(newHome());
    for (let version = 1; version <= 13; version += 1) {
      const result = await vault.secrets.set("a", bytes(`value ${version}`));
      expect(result).toEqual({ name: "a", version, created: version === 1 });
    }
    const history = await vault.secrets.history("a");
    expect(history.map(({ version }) => version)).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4]);
    expect(history.map(({ current }) => current)).toEqual([true, ...Array(9).fill(false)]);
    expect(text((await vault.secrets.get("a", { version: 4 })).value)).toBe("value 4");
    await expectCode(() => vault.secrets.get("a", { version: 3 }), "ERR_NOT_FOUND");
    for (const version of [0, -1, 1.5, Number.NaN, "1"]) {
      await expectCode(
        () => vault.secrets.get("a", { version: version as number }),
        "ERR_INVALID_ARGUMENT",
      );
    }
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test("rollback makes a new version of an old value", async () => {
    const vault = await makeVault(newHome());
    await vault.secrets.set("a", bytes("one"));
    await vault.secrets.set("a", bytes("two"));
    expect(await vault.secrets.rollback("a", 1)).toMatchObject({ version: 3, created: false });
    expect(text((await vault.secrets.get("a")).value)).toBe("one");
    await expectCode(() => vault.secrets.rollback("a", 9), "ERR_NOT_FOUND");
    await expectCode(() => vault.secrets.rollback("b", 1), "ERR_NOT_FOUND");
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test("go on after a deletion", async () => {
    const vault = await makeVault(newHome());
    await vault.secrets.set("a", bytes("one"));
    await vault.secrets.set("a", bytes("two"));
    await vault.secrets.delete("a");
    expect(await vault.secrets.list()).toEqual([]);
    for (const run of [
      () => vault.secrets.get("a"),
      () => vault.secrets.get("a", { version: 1 }),
      () => vault.secrets.history("a"),
      () => vault.secrets.rollback("a", 1),
      () => vault.secrets.delete("a"),
    ]) {
      await expectCode(run, "ERR_NOT_FOUND");
    }
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
    expect(await vault.secrets.set("a", bytes("three"), { createOnly: true })).toEqual({
      name: "a",
      version: 3,
      created: true,
    });
    expect(text((await vault.secrets.get("a")).value)).toBe("three");
    expect((await vault.secrets.history("a")).map(({ version }) => version)).toEqual([3]);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test("createOnly and ifVersion refuse what they should", async () => {
    const vault = await makeVault(newHome());
    await expectCode(() => vault.secrets.set("a", bytes("x"), { ifVersion: 1 }), "ERR_CONFLICT");
    await vault.secrets.set("a", bytes("one"), { ifVersion: 0 });
    await expectCode(
      () => vault.secrets.set("a", bytes("x"), { createOnly: true }),
      "ERR_CONFLICT",
    );
    await expectCode(() => vault.secrets.set("a", bytes("x"), { ifVersion: 0 }), "ERR_CONFLICT");
    await vault.secrets.set("a", bytes("two"), { ifVersion: 1 });
    expect(text((await vault.secrets.get("a")).value)).toBe("two");
  });

  test("of two writers with the same ifVersion one wins", async () => {
    const vault = await makeVault(newHome());
    await vault.secrets.set("a", bytes("one"));
    const results = await Promise.allSettled(
      ["left", "right"].map((side) => vault.secrets.set("a", bytes(side), { ifVersion: 1 })),
    );
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect((await vault.secrets.get("a")).version).toBe(2);
  });
});

test("a list has names, keys, times and uses, sorted, and no values", async () => {
  const vault = await makeVault(newHome());
  await vault.secrets.set("b", bytes("value of b"));
  await vault.secrets.set("a", bytes("value of a"));
  await vault.secrets.get("a");
  await Promise.all([vault.secrets.get("a"), vault.secrets.get("a"), vault.secrets.get("b")]);
  const list = await vault.secrets.list();
  expect(list.map(({ name, key, version, uses }) => ({ name, key, version, uses }))).toEqual([
    { name: "a", key: "local:default", version: 1, uses: 3 },
    { name: "b", key: "local:default", version: 1, uses: 1 },
  ]);
  expect(list[0]?.lastUsedAt).toBeGreaterThanOrEqual(list[0]?.createdAt ?? Number.NaN);
  expect(JSON.stringify(list)).not.toContain("value of");
});

test("agents can neither name nor see what is under wallet/ and system/", async () => {
  const vault = await makeVault(newHome());
  await vault.secrets.set("wallet/private-key", bytes("0xabc"));
  await vault.secrets.set("plain", bytes("v"));
  const audience = "agent" as const;
  expect((await vault.secrets.list({ audience })).map(({ name }) => name)).toEqual(["plain"]);
  for (const run of [
    () => vault.secrets.get("wallet/private-key", { audience }),
    // The same answer whether it exists or not.
    () => vault.secrets.get("wallet/none", { audience }),
    () => vault.secrets.set("system/x", bytes("v"), { audience }),
    () => vault.secrets.history("wallet/private-key", { audience }),
    () => vault.secrets.rollback("wallet/private-key", 1, { audience }),
    () => vault.secrets.delete("wallet/private-key", { audience }),
  ]) {
    await expectCode(run, "ERR_DENIED");
  }
  expect(text((await vault.secrets.get("plain", { audience })).value)).toBe("v");
  expect(text((await vault.secrets.get("wallet/private-key")).value)).toBe("0xabc");
  const events = await vault.audit.tail();
  expect(events.filter(({ code }) => code === "ERR_DENIED")).toHaveLength(6);
  expect(events.at(-2)).toMatchObject({ target: "plain", actor: { kind: "agent" } });
  expect(events.at(-1)).toMatchObject({ target: "wallet/private-key", actor: { kind: "owner" } });
});

test("a misspelt audience is nobody", async () => {
  const vault = await makeVault(newHome());
  await vault.secrets.set("wallet/k", bytes("v"));
  for (const audience of ["agents", "", null, "Owner"] as never[]) {
    await expectCode(() => vault.secrets.get("wallet/k", { audience }), "ERR_INVALID_ARGUMENT");
    await expectCode(() => vault.secrets.list({ audience }), "ERR_INVALID_ARGUMENT");
  }
});

test("a secret stays with the key that it was given, and a key must be able to seal", async () => {
  const vault = await makeVault(newHome());
  await vault.keys.create({ name: "team", type: "encryption" });
  await vault.keys.create({ name: "mac", type: "signing" });
  await vault.secrets.set("a", bytes("one"), { key: "team" });
  await vault.secrets.set("a", bytes("two"));
  expect((await vault.secrets.list())[0]).toMatchObject({ key: "local:team", version: 2 });
  await vault.secrets.set("a", bytes("three"), { key: "local:default" });
  expect((await vault.secrets.list())[0]).toMatchObject({ key: "local:default", version: 3 });
  expect(text((await vault.secrets.get("a", { version: 1 })).value)).toBe("one");
  await expectCode(() => vault.secrets.set("a", bytes("x"), { key: "mac" }), "ERR_KEY_USAGE");
  await expectCode(() => vault.secrets.set("a", bytes("x"), { key: "none" }), "ERR_KEY_NOT_FOUND");
  await expectCode(
    () => vault.secrets.set("a", bytes("x"), { key: "aws-kms:arn" }),
    "ERR_KEY_NOT_FOUND",
  );
});

test("any sequence of operations leaves what a plain map would hold", async () => {
  const name = fc.constantFrom("a", "b", "c/d");
  const step = fc.oneof(
    fc.record({ do: fc.constant("set" as const), name, value: fc.uint8Array({ maxLength: 64 }) }),
    fc.record({ do: fc.constant("delete" as const), name }),
    fc.record({ do: fc.constant("rollback" as const), name }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const home = newHome();
      const vault = await makeVault(home);
      const model = new Map<string, { last: number; versions: Map<number, Uint8Array> }>();
      for (const each of steps) {
        const known = model.get(each.name) ?? { last: 0, versions: new Map() };
        model.set(each.name, known);
        if (each.do === "delete") {
          const gone = vault.secrets.delete(each.name).then(
            () => true,
            () => false,
          );
          expect(await gone).toBe(known.versions.size > 0);
          known.versions.clear();
          continue;
        }
        if (each.do === "rollback" && known.versions.size === 0) {
          await expectCode(() => vault.secrets.rollback(each.name, 1), "ERR_NOT_FOUND");
          continue;
        }
        const oldest = Math.min(...known.versions.keys());
        const value = each.do === "set" ? each.value : known.versions.get(oldest)!;
        const result =
          each.do === "set"
            ? await vault.secrets.set(each.name, value)
            : await vault.secrets.rollback(each.name, oldest);
        known.last += 1;
        expect(result.version).toBe(known.last);
        known.versions.set(known.last, value);
        if (known.versions.size > 10) known.versions.delete(known.last - 10);
      }
      for (const [key, { versions }] of model) {
        if (versions.size === 0) continue;
        const history = await vault.secrets.history(key);
        expect(history.map(({ version }) => version)).toEqual([...versions.keys()].reverse());
        for (const [version, value] of versions) {
          expect((await vault.secrets.get(key, { version })).value).toEqual(value);
        }
      }
      expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
      await vault.close();
    }),
    { numRuns: 15 },
  );
});
