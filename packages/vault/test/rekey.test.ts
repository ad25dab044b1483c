import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomBytesFresh, utf8 } from "@lango/crypto-core";
import { createLocalProvider, createMemoryKeySource } from "@lango/crypto-local";
import { openSlot, parseKeyslots, type SlotCredential } from "@lango/envelope";
import { describe, expect, test } from "vitest";
import { acceptRollback, type RekeyCredential, type Vault } from "../src/index.ts";
import { edit } from "./forge.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  quickKdf,
  reopen,
  text,
  withPassphrase,
} from "./helpers.ts";
import { remote } from "./rig/remote.ts";
import { checkWhole } from "./rig/whole.ts";
import { Sqlite } from "./sqlite.ts";

const passphrase = (value: string = PASSPHRASE): SlotCredential => ({
  kind: "passphrase",
  passphrase: utf8(value),
  kdf: quickKdf(),
  acceptWeakKdf: true,
});

/** Every passphrase slot keeps the passphrase of the tests. */
const kept = async (vault: Vault): Promise<RekeyCredential[]> =>
  (await vault.slots.list())
    .filter(({ kind }) => kind === "passphrase")
    .map(({ id }) => ({ slotId: id, credential: passphrase() }));

const filled = async (home: string): Promise<Vault> => {
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value a"));
  await vault.secrets.set("b", bytes("value b"));
  await vault.secrets.delete("b");
  await vault.keys.create({ name: "sign", type: "signing", algorithm: "ed25519" });
  await vault.keys.provider().rotateKey!({ keyId: "default" });
  return vault;
};

const copyHome = (from: string, files: readonly string[], suffix = ".old"): void => {
  for (const file of files) copyFileSync(join(from, file), join(from, `${file}${suffix}`));
};

const bringBack = (home: string, files: readonly string[], suffix = ".old"): void => {
  for (const file of files) copyFileSync(join(home, `${file}${suffix}`), join(home, file));
};

const vaultKeyOf = async (home: string, value: string = PASSPHRASE): Promise<Uint8Array> => {
  const keyslots = parseKeyslots(readFileSync(join(home, "keyslots.json")));
  return openSlot(keyslots, keyslots.slots[0]!, bytes(value));
};

/** One column of the database, as hex. */
const column = (home: string, query: string): string[] => {
  const database = new Sqlite(join(home, "lango.db"), { readonly: true });
  try {
    return database
      .prepare(query)
      .all()
      .map((row) => {
        const [value] = Object.values(row as Record<string, unknown>);
        return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
      });
  } finally {
    database.close();
  }
};

describe("a new vault key", () => {
  test("opens everything that the old one did, and the vault goes on at once", async () => {
    const home = newHome();
    const old = await filled(home);
    const before = await vaultKeyOf(home);
    const digest = new Uint8Array(32).fill(1);
    const { vault, generation, slots, dropped, keys, notRevoked } = await old.rekey({
      credentials: await kept(old),
    });
    expect({ generation, dropped, keys }).toEqual({ generation: 2, dropped: [], keys: 4 });
    expect(slots).toMatchObject([{ kind: "passphrase" }]);
    expect(notRevoked.join(" ")).toContain("from before still open");
    expect(vault.unlockedBy).toMatchObject({ slotId: slots[0]?.id, kind: "passphrase" });
    await expectCode(() => old.secrets.get("a"), "ERR_CLOSED");

    expect(await vaultKeyOf(home)).not.toEqual(before);
    expect(text((await vault.secrets.get("a")).value)).toBe("value a");
    await vault.secrets.set("a", bytes("value 2"));
    await vault.secrets.set("c", bytes("new"));
    await vault.keys.create({ name: "later", type: "encryption" });
    const provider = vault.keys.provider();
    const sealed = await provider.encrypt!({ keyId: "default", plaintext: bytes("x") });
    expect(sealed.keyVersion).toBe("2");
    await provider.sign!({ keyId: "sign", message: digest });
    await checkWhole(vault, home);
    await vault.close();

    const again = await reopen(home);
    expect(text((await again.secrets.get("a")).value)).toBe("value 2");
    expect((await again.secrets.list()).map(({ name }) => name)).toEqual(["a", "c"]);
    await checkWhole(again, home);
  });

  test("touches no secret: values, pointers and MACs of secrets stay as they are", async () => {
    const home = newHome();
    const vault = await filled(home);
    await vault.close();
    const query = [
      "SELECT sealed FROM secret_versions ORDER BY secret_id, version",
      "SELECT mac FROM secrets ORDER BY id",
    ];
    const before = query.map((each) => column(home, each));
    const [dataKeys, material] = [
      column(home, "SELECT wrapped FROM data_keys"),
      column(home, "SELECT sealed FROM key_versions"),
    ];
    const open = await reopen(home);
    const { vault: next } = await open.rekey({ credentials: await kept(open) });
    await next.close();
    expect(query.map((each) => column(home, each))).toEqual(before);
    // And everything that the old key sealed is under the new one.
    for (const each of column(home, "SELECT wrapped FROM data_keys")) {
      expect(dataKeys).not.toContain(each);
    }
    for (const each of column(home, "SELECT sealed FROM key_versions")) {
      expect(material).not.toContain(each);
    }
    expect(column(home, "SELECT count(*) FROM jobs")).toEqual(["0"]);
  });

  test("can be made again and again: every epoch of the log still verifies", async () => {
    const home = newHome();
    let vault = await filled(home);
    for (let epoch = 2; epoch <= 4; epoch += 1) {
      ({ vault } = await vault.rekey({ credentials: await kept(vault) }));
      await vault.secrets.set("a", bytes(`epoch ${epoch}`));
      await checkWhole(vault, home);
    }
    await vault.close();
    expect(new Set(column(home, "SELECT epoch FROM audit_log"))).toEqual(
      new Set(["1", "2", "3", "4"]),
    );
    expect(column(home, "SELECT audit_epoch FROM vault")).toEqual(["4"]);
    // A row of an epoch that is over cannot follow one of a later epoch.
    edit(home, "UPDATE audit_log SET epoch = 1 WHERE seq = (SELECT max(seq) FROM audit_log)");
    const again = await reopen(home);
    const { ok, faults } = await again.audit.verify();
    expect(ok).toBe(false);
    expect(faults.map(({ problem }) => problem).join()).toContain("of epoch 1, after rows of 4");
  });

  test("keeps grants, policies, paired devices and their results", async () => {
    const home = newHome();
    const vault = await filled(home);
    const id = "p".repeat(22);
    const fingerprint = "A".repeat(43);
    await vault.companions.add({ id, name: "phone", role: "companion", fingerprint });
    const hash = new Uint8Array(32).fill(3);
    await vault.companions.results.put(id, "r1", hash, bytes("signature"));
    const { vault: next } = await vault.rekey({ credentials: await kept(vault) });
    expect(await next.companions.list()).toMatchObject([{ name: "phone" }]);
    expect(text((await next.companions.results.find(id, "r1"))!.result)).toBe("signature");
    await next.close();
  });

  test("is not under the providers of data keys, which stay wrapped by them", async () => {
    const home = newHome();
    const kms = remote();
    const providers = { "aws-kms": kms.provider };
    const made = await makeVault(home, PASSPHRASE, {
      defaultKey: { uri: "aws-kms:k1", provider: kms.provider },
    });
    await made.secrets.set("a", bytes("v"));
    await made.close();
    const before = column(home, "SELECT wrapped FROM data_keys");
    const open = await reopen(home, { providers });
    const { vault, keys } = await open.rekey({ credentials: await kept(open) });
    expect(keys).toBe(0);
    expect(text((await vault.secrets.get("a")).value)).toBe("v");
    await vault.close();
    expect(column(home, "SELECT wrapped FROM data_keys")).toEqual(before);
  });
});

describe("the slots of a new vault key", () => {
  test("are all kinds: each kept one opens, a dropped one does not", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const entropy = randomBytesFresh(32);
    const [fileKey, envKey, nextEnvKey] = [1, 2, 3].map(() => randomBytesFresh(32));
    const versions = [{ version: 1, material: randomBytesFresh(32) }];
    const source = createMemoryKeySource([{ id: "root", algorithm: "aes-256-gcm", versions }]);
    const provider = createLocalProvider({ source });
    const recovery = await vault.slots.add({ kind: "recovery", entropy, label: "safe" });
    const file = await vault.slots.add({ kind: "master-key-file", key: fileKey! });
    const env = await vault.slots.add({ kind: "env", key: envKey! });
    const uri = "kms:root";
    const remoteSlot = await vault.slots.add({ kind: "provider", uri, provider, keyId: "root" });
    const keyring = await vault.slots.add({ kind: "keyring", key: randomBytesFresh(32) });

    const {
      vault: next,
      slots,
      dropped,
    } = await vault.rekey({
      credentials: [
        ...(await kept(vault)),
        { slotId: recovery.id, credential: { kind: "recovery", entropy } },
        { slotId: env.id, credential: { kind: "env", key: nextEnvKey! }, isNew: true },
        { slotId: remoteSlot.id, credential: { kind: "provider", uri, provider, keyId: "root" } },
      ],
      drop: [file.id, keyring.id],
      add: [{ kind: "master-key-file", key: fileKey!, label: "again" }],
    });
    expect(slots.map(({ kind }) => kind)).toEqual([
      "passphrase",
      "recovery",
      "env",
      "provider",
      "master-key-file",
    ]);
    expect(slots[1]?.label).toBe("safe");
    expect(dropped.map(({ id }) => id)).toEqual([file.id, keyring.id]);
    await next.close();

    const keyslots = parseKeyslots(readFileSync(join(home, "keyslots.json")));
    const newKey = await openSlot(keyslots, keyslots.slots[0]!, bytes(PASSPHRASE));
    const opens = (index: number, secret: Uint8Array): Promise<Uint8Array> =>
      openSlot(keyslots, keyslots.slots[index]!, secret);
    expect(await opens(1, entropy)).toEqual(newKey);
    expect(await opens(2, nextEnvKey!)).toEqual(newKey);
    expect(await opens(4, fileKey!)).toEqual(newKey);
    await expectCode(() => opens(2, envKey!), "ERR_WRONG_PASSPHRASE");
  });

  test("are complete: none is forgotten, none named twice, and one is left", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const { id } = await vault.slots.add({ kind: "env", key: randomBytesFresh(32) });
    const credentials = await kept(vault);
    const [first] = credentials;
    const refused: [Parameters<Vault["rekey"]>[0], string][] = [
      [{ credentials }, "ERR_CONFLICT"],
      [{ credentials, drop: [id, id] }, "ERR_CONFLICT"],
      [{ credentials: [...credentials, first!], drop: [id] }, "ERR_CONFLICT"],
      [{ credentials: [], drop: [id, first!.slotId] }, "ERR_CONFLICT"],
      [{ credentials, drop: [id, "00".repeat(12)] }, "ERR_NOT_FOUND"],
      [
        {
          credentials: [{ slotId: first!.slotId, credential: passphrase("other one") }],
          drop: [id],
        },
        "ERR_WRONG_PASSPHRASE",
      ],
      [
        {
          credentials: [
            ...credentials,
            { slotId: id, credential: { kind: "env", key: randomBytesFresh(32) } },
          ],
        },
        "ERR_WRONG_PASSPHRASE",
      ],
      [
        {
          credentials: [{ slotId: first!.slotId, credential: { kind: "env", key: bytes("x") } }],
          drop: [id],
        },
        "ERR_INVALID_ARGUMENT",
      ],
    ];
    const before = readFileSync(join(home, "keyslots.json"));
    for (const [options, code] of refused) await expectCode(() => vault.rekey(options), code);
    const wrongKey = {
      slotId: id,
      credential: { kind: "env", key: randomBytesFresh(32) },
    } as const;
    await expect(vault.rekey({ credentials: [...credentials, wrongKey] })).rejects.toThrow(
      `What was given for slot ${id} (env) does not open it`,
    );
    expect(readFileSync(join(home, "keyslots.json"))).toEqual(before);
    await vault.secrets.set("a", bytes("still open"));
    await checkWhole(vault, home);
  });
});

describe("who has the vault open with the old key", () => {
  test("fails closed, typed, at the next read and write, and writes nothing", async () => {
    const home = newHome();
    const stale = await filled(home);
    const unread = await reopen(home);
    await stale.secrets.get("a");
    const { vault } = await reopen(home).then(async (open) =>
      open.rekey({ credentials: await kept(open) }),
    );
    const rows = column(home, "SELECT count(*) FROM audit_log");
    const hash = new Uint8Array(32);
    for (const call of [
      () => stale.secrets.get("a"),
      () => stale.secrets.set("a", bytes("lost")),
      () => stale.secrets.set("d", bytes("lost")),
      () => stale.secrets.delete("a"),
      () => stale.keys.create({ name: "x", type: "encryption" }),
      () => stale.keys.provider().rotateKey!({ keyId: "default" }),
      () => stale.slots.add({ kind: "env", key: randomBytesFresh(32) }),
      () => stale.approvals.approver(bytes(PASSPHRASE)),
      () => stale.companions.results.put("p", "r", hash, bytes("x")),
      () => stale.rekey({ credentials: [] }),
    ]) {
      await expectCode(call, "ERR_LOCKED");
    }
    expect(column(home, "SELECT count(*) FROM audit_log")).toEqual(rows);
    // Nor does it look like damage to one that has to open a data key first.
    await expectCode(() => unread.secrets.get("a"), "ERR_LOCKED");
    await unread.close();
    await stale.close();
    await checkWhole(vault, home);
    await vault.close();
  });
});

describe("files from before a new vault key", () => {
  const FILES = ["keyslots.json", "keyslots.bak.json"];

  const rekeyed = async (): Promise<string> => {
    const home = newHome();
    const vault = await filled(home);
    await vault.close();
    copyHome(home, [...FILES, "lango.db"]);
    const open = await reopen(home);
    const { vault: next } = await open.rekey({ credentials: await kept(open) });
    await next.close();
    return home;
  };

  test("an older keyslots file is named, and cannot be accepted", async () => {
    const home = await rekeyed();
    bringBack(home, FILES);
    const error = await expectCode(() => reopen(home), "ERR_KEYSLOTS_ROLLED_BACK");
    expect(error.context.hint).toContain("from one time");
    await expectCode(
      () => acceptRollback({ home, unlock: withPassphrase() }),
      "ERR_KEYSLOTS_ROLLED_BACK",
    );
  });

  test("an older database is named", async () => {
    const home = await rekeyed();
    bringBack(home, ["lango.db"]);
    await expectCode(() => reopen(home), "ERR_STORE_ROLLED_BACK");
  });

  test("both together open with the old credential, which is what is said", async () => {
    const home = await rekeyed();
    bringBack(home, [...FILES, "lango.db"]);
    const vault = await reopen(home);
    expect(text((await vault.secrets.get("a")).value)).toBe("value a");
  });

  test("an edited member `inherited` is refused, whatever was done to it", async () => {
    const home = await rekeyed();
    const path = join(home, "keyslots.json");
    const file = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    const inherited = file["inherited"] as Record<string, string>;
    expect(Object.keys(inherited).sort()).toEqual(["approvals", "rows"]);
    const { createHash } = await import("node:crypto");
    const { jcs } = await import("@lango/envelope");
    for (const change of [
      { ...inherited, rows: inherited["approvals"] },
      { rows: inherited["rows"] },
      undefined,
    ]) {
      const { sha256: _, inherited: __, ...others } = file;
      const content = change === undefined ? others : { ...others, inherited: change };
      const sha256 = createHash("sha256")
        .update(jcs(content as never))
        .digest("hex");
      writeFileSync(path, JSON.stringify({ ...content, sha256 }));
      // Exit 8.
      await expectCode(() => reopen(home), "ERR_INTEGRITY");
    }
  });
});
