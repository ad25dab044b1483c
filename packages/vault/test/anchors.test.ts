import { createHash, createHmac, generateKeyPairSync, sign } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CryptoError, type CryptoProvider, fromBase64, fromHex } from "@lango/crypto-core";
import { createLocalProvider, createMemoryKeySource } from "@lango/crypto-local";
import { afterEach, describe, expect, test, vi } from "vitest";
import { anchorMessage } from "../src/audit/anchor.ts";
import { type AuditAnchor, readVault, type Vault } from "../src/index.ts";
import { openContext } from "../src/open-context.ts";
import { bytes, expectCode, makeVault, newHome, reopen, withPassphrase } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

const FILE = "audit-anchors.jsonl";
const LOCAL = { anchor: "local:log" } as const;

/** A vault with a signing key, closed. */
const makeHome = async (
  algorithm: "ed25519" | "ecdsa-p256" | "ecdsa-p384" | "secp256k1" = "ed25519",
) => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.keys.create({ name: "log", type: "signing", algorithm });
  await vault.close();
  return home;
};

/** One opening with a write, as a short command does it. */
const work = async (home: string, options: Parameters<typeof reopen>[1] = { audit: LOCAL }) => {
  const vault = await reopen(home, options);
  await vault.secrets.set("a", bytes(`${Math.random()}`));
  await vault.close();
};

const linesOf = (home: string): AuditAnchor[] =>
  readFileSync(join(home, FILE), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as AuditAnchor);

const edit = (home: string, ...statements: string[]): void => {
  const database = new Sqlite(join(home, "lango.db"), {});
  for (const statement of statements) database.exec(statement);
  database.close();
};

const problems = async (vault: Pick<Vault, "audit">): Promise<string> =>
  (await vault.audit.verify()).faults.map(({ problem }) => problem).join("\n");

/** A provider whose keys no holder of the vault has, and that can be made not to answer. */
const makeRemote = async (): Promise<{
  provider: CryptoProvider;
  spki: Uint8Array;
  answers: "yes" | "no" | "never";
}> => {
  const keys = createLocalProvider({ source: createMemoryKeySource([]) });
  await keys.createKey?.({ keyId: "log", algorithm: "ecdsa-p256", usage: "signing" });
  const found = await keys.getPublicKey?.({ keyId: "log" });
  const spki: Uint8Array = found?.publicKey ?? new Uint8Array();
  const remote = {
    spki,
    answers: "yes" as "yes" | "no" | "never",
    provider: {
      ...keys,
      name: "remote",
      sign: async (request: Parameters<NonNullable<CryptoProvider["sign"]>>[0]) => {
        if (remote.answers === "no") throw new CryptoError("ERR_UNAVAILABLE", "No route to remote");
        if (remote.answers === "never") await new Promise(() => undefined);
        return (keys.sign as NonNullable<CryptoProvider["sign"]>)(request);
      },
    } as CryptoProvider,
  };
  return remote;
};

const makeRemoteHome = async () => {
  const remote = await makeRemote();
  const home = newHome();
  await (await makeVault(home)).close();
  const options = { providers: { remote: remote.provider }, audit: { anchor: "remote:log" } };
  const vault = await reopen(home, { providers: options.providers });
  await vault.keys.create({ name: "log", type: "signing", uri: "remote:log" });
  await vault.close();
  return { home, remote, options };
};

describe("an anchor", () => {
  test("off by default", async () => {
    const home = await makeHome();
    await work(home, {});
    expect(existsSync(join(home, FILE))).toBe(false);
    const vault = await reopen(home);
    expect(await vault.audit.verify()).toMatchObject({
      ok: true,
      unanchored: 6,
      anchors: { checkedWith: { given: 0, registry: 0, anchor: 0 }, outside: 0, remarks: [] },
    });
    expect((await vault.status()).anchors).toBeUndefined();
  });

  test.each(["ed25519", "ecdsa-p256", "ecdsa-p384", "secp256k1"] as const)(
    "by %s at close, in the chain and outside, as the format says",
    async (algorithm) => {
      const home = await makeHome(algorithm);
      await work(home);
      expect(statSync(join(home, FILE)).mode & 0o777).toBe(0o600);
      const [anchor] = linesOf(home);
      if (!anchor) throw new Error("No anchor");
      const database = new Sqlite(join(home, "lango.db"), {});
      const row = database.prepare("SELECT * FROM audit_log WHERE seq = ?").get(anchor.seq) as {
        hash: Buffer;
      };
      const last = database
        .prepare("SELECT seq, entry FROM audit_log ORDER BY seq DESC LIMIT 1")
        .get() as { seq: number; entry: string };
      database.close();
      expect(row.hash.toString("hex")).toBe(anchor.hash);
      expect(last.seq).toBe(anchor.seq + 1);
      const { vaultId, ts: _, ...inChain } = anchor;
      expect(JSON.parse(last.entry)).toMatchObject({
        action: "audit.anchor",
        target: "local:log",
        anchor: inChain,
      });
      // By hand: u32 count, and u32 length before each part.
      const u32 = (n: number) => Buffer.from([0, 0, 0, n]);
      const name = Buffer.from("lango/v1/anchor");
      const seq = Buffer.alloc(8);
      seq.writeBigUInt64BE(BigInt(anchor.seq));
      const [id, hash] = [Buffer.from(vaultId, "hex"), Buffer.from(anchor.hash, "hex")];
      const message = [name, id, seq, hash].flatMap((part) => [u32(part.length), part]);
      expect(Buffer.from(anchorMessage(id, anchor.seq, hash))).toEqual(
        Buffer.concat([u32(4), ...message]),
      );
      const vault = await reopen(home);
      expect(await vault.audit.verify({ rows: true })).toMatchObject({
        ok: true,
        unanchored: 1,
        anchors: {
          checkedWith: { given: 0, registry: 1, anchor: 0 },
          outside: 1,
          last: { seq: anchor.seq, uri: "local:log", key: "registry" },
          remarks: ["An anchor by a local key proves nothing against a holder of the vault"],
        },
      });
    },
  );

  test("nothing but anchors since the last one: no other", async () => {
    const home = await makeHome();
    const [one, two] = [await reopen(home, { audit: LOCAL }), await reopen(home, { audit: LOCAL })];
    await one.close();
    await two.close();
    expect(linesOf(home)).toHaveLength(1);
  });

  test("after 256 rows, while reads go on", async () => {
    const vault = await reopen(await makeHome(), { audit: LOCAL });
    for (let i = 0; i < 300; i += 1) {
      await vault.audit.append({ action: "test", durability: "normal" });
    }
    await vi.waitFor(async () => expect((await vault.status()).anchors?.seq).toBeGreaterThan(250));
    const report = await vault.audit.verify();
    expect(report.unanchored).toBeLessThan(60);
    expect(report.anchors.checkedWith.registry).toBe(1);
  });

  describe("by the clock", () => {
    afterEach(() => void vi.useRealTimers());

    test("after 10 minutes", async () => {
      const home = await makeHome();
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const vault = await reopen(home, { audit: LOCAL });
      await vi.advanceTimersByTimeAsync(9 * 60_000);
      expect((await vault.audit.verify()).anchors.outside).toBe(0);
      await vi.advanceTimersByTimeAsync(61_000);
      await vi.waitFor(async () => expect((await vault.audit.verify()).anchors.outside).toBe(1));
      vi.useRealTimers();
    });

    test("again some time after a failure", async () => {
      const { home, remote, options } = await makeRemoteHome();
      remote.answers = "no";
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const vault = await reopen(home, options);
      await vi.advanceTimersByTimeAsync(10 * 60_000);
      await vi.waitFor(async () =>
        expect((await vault.status()).anchors).toEqual({
          key: "remote:log",
          problem: "No route to remote",
        }),
      );
      expect((await vault.audit.verify()).anchors.problem).toBe("No route to remote");
      remote.answers = "yes";
      await vi.advanceTimersByTimeAsync(31_000);
      await vi.waitFor(async () => expect((await vault.status()).anchors?.seq).toBeGreaterThan(0));
      expect((await vault.status()).anchors).not.toHaveProperty("problem");
      vi.useRealTimers();
    });
  });

  test("goes to the hook; a hook that fails keeps nothing from working", async () => {
    const home = await makeHome();
    const sent: AuditAnchor[] = [];
    await work(home, { audit: { ...LOCAL, onAnchor: (anchor) => void sent.push(anchor) } });
    expect(sent).toEqual(linesOf(home));
    const onAnchor = () => Promise.reject(new Error("no network"));
    await work(home, { audit: { ...LOCAL, onAnchor } });
    expect(linesOf(home)).toHaveLength(2);
  });

  test("a hook that never answers holds up closing for a bounded time", async () => {
    const home = await makeHome();
    const onAnchor = () => new Promise<void>(() => undefined);
    const vault = await reopen(home, { audit: { ...LOCAL, onAnchor } });
    const start = performance.now();
    await vault.close();
    expect(performance.now() - start).toBeLessThan(8000);
    expect(linesOf(home)).toHaveLength(1);
  });

  test("a full file becomes the file before; both are compared", async () => {
    const home = await makeHome();
    await work(home);
    const [first] = linesOf(home);
    writeFileSync(join(home, FILE), `${JSON.stringify(first)}\n`.padEnd(1024 * 1024, "\n"));
    await work(home);
    expect(linesOf(home)).toHaveLength(1);
    expect(statSync(join(home, "audit-anchors.1.jsonl")).size).toBe(1024 * 1024);
    const vault = await reopen(home);
    expect((await vault.audit.verify()).anchors.outside).toBe(2);
  });

  test("an unfinished line is counted, and keeps to itself", async () => {
    const home = await makeHome();
    await work(home);
    writeFileSync(join(home, FILE), readFileSync(join(home, FILE), "utf8").slice(0, -40));
    await work(home);
    const vault = await reopen(home);
    expect(await vault.audit.verify()).toMatchObject({
      ok: true,
      anchors: { outside: 1, unreadable: 1, checkedWith: { registry: 2 } },
    });
  });
});

describe("no anchor can be made", () => {
  test.each([
    ["there is no such key", "local:none", "There is no key local:none in the vault"],
    ["it is no signing key", "default", "Key local:default cannot sign: it is aes-256-gcm"],
    ["its provider is not configured", "remote:log", "There is no key remote:log in the vault"],
  ])("%s: everything else works", async (_why, anchor, problem) => {
    const home = await makeHome();
    const vault = await reopen(home, { audit: { anchor } });
    for (let i = 0; i < 300; i += 1) {
      await vault.audit.append({ action: "test", durability: "normal" });
    }
    await vault.secrets.set("a", bytes("v"));
    await vault.secrets.get("a");
    await vi.waitFor(async () => expect((await vault.status()).anchors?.problem).toBe(problem));
    expect(await vault.audit.verify()).toMatchObject({ ok: true, anchors: { problem } });
    await vault.close();
  });

  test("a provider that never answers holds up closing for a bounded time", async () => {
    const { home, remote, options } = await makeRemoteHome();
    remote.answers = "never";
    const vault = await reopen(home, options);
    const start = performance.now();
    await vault.close();
    // Two seconds, and room for a slow machine: without the bound this would be 10 s or for ever.
    expect(performance.now() - start).toBeLessThan(8000);
    expect(existsSync(join(home, FILE))).toBe(false);
    remote.answers = "yes";
    await work(home, options);
    expect((await (await reopen(home)).audit.verify()).unanchored).toBe(1);
  });

  test("a signature that does not verify is not written", async () => {
    const { home, remote, options } = await makeRemoteHome();
    const wrong: CryptoProvider = {
      ...remote.provider,
      sign: async () => ({
        ...{ keyId: "log", keyVersion: "1", algorithm: "ecdsa-p256-sha256" },
        signature: new Uint8Array(64).fill(1),
      }),
    };
    await work(home, { ...options, providers: { remote: wrong } });
    const vault = await reopen(home);
    expect((await vault.audit.verify()).anchors).toMatchObject({ outside: 0 });
    expect((await vault.audit.tail()).map(({ action }) => action)).not.toContain("audit.anchor");
  });
});

describe("what changed shows", () => {
  const cut = (seq: number): string[] => [
    `DELETE FROM audit_log WHERE seq > ${seq}`,
    `UPDATE audit_head SET seq = ${seq}, hash = (SELECT hash FROM audit_log WHERE seq = ${seq})`,
  ];

  test("the tail cut off, signed rows with it", async () => {
    const home = await makeHome();
    await work(home);
    const seq = linesOf(home)[0]?.seq ?? 0;
    edit(home, ...cut(seq - 1));
    await using locked = await readVault({ home });
    const report = await locked.audit.verifyLinks();
    expect(report.ok).toBe(false);
    expect(report.faults).toEqual([
      { seq, problem: expect.stringContaining(`Rows ${seq} to ${seq} were cut off: An anchor`) },
    ]);
  });

  test("only the row of the anchor cut off", async () => {
    const home = await makeHome();
    await work(home);
    const seq = linesOf(home)[0]?.seq ?? 0;
    edit(home, ...cut(seq));
    const vault = await reopen(home);
    expect(await problems(vault)).toContain(`Rows after ${seq} were cut off or replaced`);
  });

  test("rows after the last anchor cut off: unseen, but their number was said", async () => {
    const home = await makeHome();
    await work(home);
    await work(home, {});
    await using before = await readVault({ home });
    const { rows, unanchored } = await before.audit.verifyLinks();
    expect(unanchored).toBe(2);
    edit(home, ...cut(rows - unanchored));
    await using after = await readVault({ home });
    expect(await after.audit.verifyLinks()).toMatchObject({ ok: true, unanchored: 0 });
  });

  /** A holder of the audit key writes the chain anew from a row on. */
  const rewrite = (
    home: string,
    from: number,
    key: Uint8Array,
    change: (entry: string) => string,
  ) => {
    const database = new Sqlite(join(home, "lango.db"), {});
    const rows = database
      .prepare("SELECT seq, prev, entry FROM audit_log WHERE seq >= ? ORDER BY seq")
      .all(from) as { seq: number; prev: Buffer; entry: string }[];
    let prev = rows[0]?.prev ?? Buffer.alloc(32);
    for (const { seq, entry } of rows) {
      const text = change(entry);
      const hash = createHash("sha256").update(prev).update(text).digest();
      const mac = createHmac("sha256", key).update(hash).digest();
      database
        .prepare("UPDATE audit_log SET prev = ?, entry = ?, hash = ?, mac = ? WHERE seq = ?")
        .run(prev, text, hash, mac, seq);
      prev = hash;
    }
    database.prepare("UPDATE audit_head SET hash = ?").run(prev);
    database.close();
  };

  /** The audit key of a vault: what whoever holds the passphrase has. */
  const auditKeyOf = async (home: string): Promise<Uint8Array> => {
    const opened = await openContext({ home, unlock: withPassphrase() });
    const key = new Uint8Array(opened.auditKey.key.export());
    await opened.discard();
    return key;
  };

  test("the chain written anew with the audit key: an anchor by a key that the attacker lacks shows it", async () => {
    const { home, remote, options } = await makeRemoteHome();
    await work(home, options);
    await work(home, options);
    const [first, second] = linesOf(home);
    if (!first || !second) throw new Error("No anchors");
    const kept = linesOf(home);
    const anchorKeys = [remote.spki];
    const sound = await reopen(home);
    expect(await sound.audit.verify({ anchorKeys })).toMatchObject({
      ok: true,
      unanchored: 1,
      anchors: { checkedWith: { given: 2 }, last: { key: "given" }, remarks: [] },
    });
    await sound.close();
    const key = await auditKeyOf(home);
    rewrite(home, second.seq, key, (entry) => entry.replace('"target":"a"', '"target":"b"'));
    const vault = await reopen(home);
    expect(await problems(vault)).toMatch(
      new RegExp(`Row ${second.seq} is not the one that the anchor in row ${second.seq + 1} signs`),
    );
    await vault.close();

    // The attacker goes on: signs with a key of his own in all places that he can reach.
    const pair = generateKeyPairSync("ed25519");
    const publicKey = pair.publicKey.export({ format: "der", type: "spki" }).toString("base64");
    const database = new Sqlite(join(home, "lango.db"), {});
    const hashOf = (seq: number): string =>
      (
        database.prepare("SELECT hash FROM audit_log WHERE seq = ?").get(seq) as { hash: Buffer }
      ).hash.toString("hex");
    const forged = {
      ...second,
      hash: hashOf(second.seq),
      algorithm: "ed25519" as const,
      publicKey,
    };
    database.close();
    const message = anchorMessage(
      fromHex(second.vaultId) ?? new Uint8Array(),
      second.seq,
      fromHex(forged.hash) ?? new Uint8Array(),
    );
    const signature = sign(null, message, pair.privateKey).toString("base64");
    const { vaultId: _vault, ts: _ts, ...anchor } = { ...forged, signature };
    rewrite(home, second.seq + 1, key, (entry) => {
      const value = JSON.parse(entry) as { action: string };
      return value.action === "audit.anchor" ? JSON.stringify({ ...value, anchor }) : entry;
    });
    writeFileSync(
      join(home, FILE),
      `${[first, { ...forged, signature }].map((each) => JSON.stringify(each)).join("\n")}\n`,
    );
    const fooled = await reopen(home);
    const alone = await fooled.audit.verify();
    expect(alone.ok).toBe(true);
    expect(alone.anchors).toMatchObject({
      checkedWith: { registry: 1, anchor: 1 },
      last: { key: "anchor" },
    });
    expect(alone.anchors.remarks).toContainEqual(expect.stringContaining("that it names itself"));
    // The key, noted elsewhere: the forged anchor does not count.
    const withKey = await fooled.audit.verify({ anchorKeys });
    expect(withKey.anchors.last).toEqual({ seq: first.seq, uri: "remote:log", key: "given" });
    expect(withKey.unanchored).toBeGreaterThan(1);
    expect(withKey.anchors.remarks).toContainEqual(
      expect.stringContaining("1 anchors are by other keys"),
    );
    // The anchors, sent elsewhere: they say what was replaced.
    const withAnchors = await fooled.audit.verify({ anchorKeys, anchors: kept });
    expect(withAnchors.faults.map(({ problem }) => problem).join()).toContain(
      `Row ${second.seq} was replaced`,
    );
  });

  test("a signature in the chain or outside that does not verify", async () => {
    const home = await makeHome();
    await work(home);
    const [anchor] = linesOf(home);
    if (!anchor) throw new Error("No anchor");
    const other = { ...anchor, signature: Buffer.alloc(64, 7).toString("base64") };
    writeFileSync(join(home, FILE), `${JSON.stringify(other)}\n`);
    const vault = await reopen(home);
    expect(await problems(vault)).toContain("has a signature that does not verify");
    await vault.close();
    rmSync(join(home, FILE));
    const key = await auditKeyOf(home);
    rewrite(home, anchor.seq + 1, key, (entry) => entry.replace(anchor.signature, other.signature));
    const again = await reopen(home);
    expect(await problems(again)).toContain(
      `The signature of the anchor in row ${anchor.seq + 1} does not verify`,
    );
  });

  test("an anchor of another vault", async () => {
    const [one, two] = [await makeHome(), await makeHome()];
    await work(one);
    await work(two);
    writeFileSync(join(one, FILE), readFileSync(join(two, FILE)));
    expect(await problems(await reopen(one))).toContain("is of another vault");
  });

  test("locked, signatures are checked with the key that they name or the one that is given", async () => {
    const home = await makeHome();
    await work(home);
    await using locked = await readVault({ home });
    expect((await locked.audit.verifyLinks()).anchors).toMatchObject({
      checkedWith: { given: 0, registry: 0, anchor: 1 },
      last: { key: "anchor" },
    });
    const spki = fromBase64(linesOf(home)[0]?.publicKey ?? "") ?? new Uint8Array();
    expect((await locked.audit.verifyLinks({ anchorKeys: [spki] })).anchors.checkedWith.given).toBe(
      1,
    );
    await expectCode(
      () => locked.audit.verifyLinks({ anchorKeys: [new Uint8Array(44)] }),
      "ERR_INVALID_ARGUMENT",
    );
  });
});
