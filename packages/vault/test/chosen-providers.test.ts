import { createLocalProvider } from "@lango/crypto-local";
import type { DataKeyRow, KeyRow } from "@lango/store";
import { describe, expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { withMac } from "../src/rows.ts";
import { forge } from "./forge.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";
import { runScript } from "./rig/spawn.ts";

// Rows with sound MACs that name a provider: a restored copy, or a bug, may have made them. Only what was configured is used.

/** A provider that counts its calls. */
const counting = async () => {
  const provider = createLocalProvider();
  await provider.createKey!({ keyId: "k1", algorithm: "aes-256-gcm", usage: "encryption" });
  const calls: string[] = [];
  const counted = Object.fromEntries(
    Object.entries(provider).map(([name, member]) => [
      name,
      typeof member === "function"
        ? (request: never) => {
            calls.push(name);
            return (member as (request: never) => unknown)(request);
          }
        : member,
    ]),
  ) as unknown as typeof provider;
  return { provider: { ...counted, name: "other" }, calls };
};

const created = async (): Promise<string> => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  await vault.close();
  return home;
};

const forgeDataKey = (home: string, wrapUri: string): Promise<void> =>
  forge(home, async (tx, { keys }) => {
    const [row] = (await tx.dataKeys.list()) as [DataKeyRow];
    await tx.dataKeys.update(withMac(keys.rows, "data_keys", { ...row, wrapUri }), row.mac);
  });

/** Makes `default` a key of a provider, and closes its data key, so that the next write wants a new one. */
const forgeKey = (home: string, provider: string): Promise<void> =>
  forge(home, async (tx, { keys }) => {
    const row = (await tx.keys.findByName("default")) as KeyRow;
    const forged = { ...row, provider, remoteKeyId: "k1" };
    await tx.keys.update(withMac(keys.rows, "keys", forged), row.mac);
    const [dataKey] = (await tx.dataKeys.list()) as [DataKeyRow];
    const closed = withMac(keys.rows, "data_keys", { ...dataKey, state: "decrypt-only" });
    await tx.dataKeys.update(closed, dataKey.mac);
  });

// `__proto__` is no scheme at all; the others are, and every object has a `constructor`.
const SCHEMES = [
  ["__proto__", "ERR_INVALID_ARGUMENT"],
  ["constructor", "ERR_KEY_NOT_FOUND"],
  ["inherited", "ERR_KEY_NOT_FOUND"],
  ["aws-kms", "ERR_KEY_NOT_FOUND"],
] as const;

/** Opens with one provider of its own, one that is only inherited, and whatever every object has. */
const open = async (home: string): Promise<{ vault: Vault; calls: string[] }> => {
  const { provider, calls } = await counting();
  const providers = Object.assign(Object.create({ inherited: provider }), { other: provider });
  return { vault: await reopen(home, { providers }), calls };
};

describe.each(SCHEMES)("%s in a row", (scheme, code) => {
  test("of a data key and of its key opens nothing", async () => {
    const home = await created();
    await forgeDataKey(home, `${scheme}:k1`);
    await forgeKey(home, scheme);
    const { vault, calls } = await open(home);
    await expectCode(() => vault.secrets.get("a"), code);
    expect(calls).toEqual([]);
  });

  test("of a key seals nothing", async () => {
    const home = await created();
    await forgeKey(home, scheme);
    const { vault, calls } = await open(home);
    await expectCode(() => vault.secrets.set("b", bytes("w")), code);
    expect(calls).toEqual([]);
    expect(text((await vault.secrets.get("a")).value)).toBe("v");
  });

  test("of a caller registers nothing", async () => {
    const { vault, calls } = await open(await created());
    const uri = `${scheme}:k1`;
    await expectCode(() => vault.keys.create({ name: "r", type: "encryption", uri }), code);
    expect(calls).toEqual([]);
  });
});

test("the provider that is configured is the one that is asked", async () => {
  const home = await created();
  await forgeKey(home, "other");
  const { provider, calls } = await counting();
  const vault = await reopen(home, { providers: { other: provider } });
  await vault.secrets.set("b", bytes("w"));
  expect(calls).toEqual(["wrapKey", "unwrapKey"]);
});

test.each(["other:k1", "other:none", "aws-kms:k1"])(
  "%s in the row of a data key whose key is another one: nobody is asked",
  async (uri) => {
    const home = await created();
    await forgeDataKey(home, uri);
    const { vault, calls } = await open(home);
    await expectCode(() => vault.secrets.get("a"), "ERR_KEY_NOT_FOUND");
    await expectCode(() => vault.secrets.set("b", bytes("w")), "ERR_INTEGRITY");
    expect(calls).toEqual([]);
  },
);

test.each([
  { degraded: false, what: "a data key of the vault key in the place of the provider's" },
  { degraded: true, what: "a degraded data key in the place of the provider's" },
])("$what seals nothing: an old row was brought back", async ({ degraded }) => {
  const home = await created();
  await forgeKey(home, "other");
  await forge(home, async (tx, { keys }) => {
    const [row] = (await tx.dataKeys.list()) as [DataKeyRow];
    const active = withMac(keys.rows, "data_keys", { ...row, state: "active", degraded });
    await tx.dataKeys.update(active, row.mac);
  });
  const { vault, calls } = await open(home);
  await expectCode(() => vault.secrets.set("b", bytes("w")), "ERR_INTEGRITY");
  expect(calls).toEqual([]);
  expect(text((await vault.secrets.get("a")).value)).toBe("v");
});

test("no row makes the vault load a module", async () => {
  const home = await created();
  await forgeDataKey(home, "aws-kms:k1");
  const { status, output } = await runScript("imports", home);
  expect(output).toBe("ERR_KEY_NOT_FOUND\n");
  expect(status).toBe(0);
});
