import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as sdk from "@aws-sdk/client-kms";
import { type CryptoProvider, createResilientProvider } from "@lango/crypto-core";
import { createVault, type OpenVaultOptions, openVault } from "@lango/vault";
import { expect, test } from "vitest";
import { createAwsKmsProvider } from "../src/index.ts";
import type { Settings } from "./servers.ts";

const key = new Uint8Array(32).fill(5);

const unlock: OpenVaultOptions["unlock"] = async (slots) => ({
  credential: {
    kind: "env",
    source: "test",
    secret: key.slice(),
    ambient: true,
    slotIds: slots.map(({ id }) => id),
  },
  skipped: [],
});

/** A resilient provider, and what it sends: the call, and the keys that it names. */
async function watched(
  settings: Settings,
): Promise<{ provider: CryptoProvider; sent: (string | undefined)[][] }> {
  const sent: (string | undefined)[][] = [];
  const client = new sdk.KMSClient({ ...settings, maxAttempts: 1 });
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const { KeyId, SourceKeyId, DestinationKeyId } = args.input as Record<string, string>;
        const keyIds = [KeyId, SourceKeyId, DestinationKeyId].filter((id) => id !== undefined);
        sent.push([commandName!.replace(/Command$/, ""), ...keyIds]);
        return next(args);
      },
    { step: "initialize" },
  );
  const provider = createResilientProvider(createAwsKmsProvider({ client }), {
    // A server that has just started is slow on a busy machine.
    deadline: { timeoutMs: 60_000 },
  });
  return { provider, sent };
}

/** What the conformance suite does not ask, on a server. */
export function testMore(server: string, start: () => Promise<Settings>): void {
  const create = async () => createAwsKmsProvider(await start());
  const newKey = { algorithm: "aes-256-gcm", usage: "encryption" } as const;

  test(`trap 2a.14 on ${server}: a vault goes from key to key, and no data key leaves KMS`, async () => {
    const { provider, sent } = await watched(await start());
    const keyIds: string[] = [];
    for (let i = 0; i < 2; i++) keyIds.push((await provider.createKey!(newKey)).keyId);
    const [from, to] = keyIds.map((keyId) => `aws-kms:${keyId}`) as [string, string];
    const home = join(mkdtempSync(join(tmpdir(), "lango-aws-kms-")), "home");
    const made = await createVault({
      home,
      credentials: [{ kind: "env", key }],
      defaultKey: { uri: from, provider },
    });
    await made.secrets.set("a", new Uint8Array([7]));
    await made.close();
    const open = () => openVault({ home, unlock, providers: { "aws-kms": provider } });
    const vault = await open();
    sent.length = 0;
    expect(await vault.providers.migrate({ to })).toMatchObject({ from, dataKeys: 1 });
    const namesAndKeys = sent.filter(([name]) => name !== "DescribeKey");
    const moved = (source: string) => ["ReEncrypt", source, keyIds[1]];
    // The new key is tried with random bytes, twice; then the data key goes over, and the new wrap is opened in KMS.
    expect(namesAndKeys).toEqual([
      ["Encrypt", keyIds[1]],
      ["Decrypt", keyIds[1]],
      ["Encrypt", keyIds[1]],
      moved(keyIds[1]!),
      moved(keyIds[1]!),
      ["Decrypt", keyIds[1]],
      moved(keyIds[0]!),
      moved(keyIds[1]!),
    ]);
    await vault.close();
    const again = await open();
    expect((await again.secrets.get("a")).value).toEqual(new Uint8Array([7]));
    await again.close();
    await provider.close();
    rmSync(dirname(home), { recursive: true });
  });

  test(`on ${server}: an alias, a bare name, a key id and an alias ARN name the key that its ARN names`, async () => {
    const provider = await create();
    const name = `lango-${randomUUID()}`;
    const { keyId } = await provider.createKey({ ...newKey, keyId: name });
    const { wrappedKey } = await provider.wrapKey({ keyId, key });
    const id = keyId.split("/")[1]!;
    for (const other of [name, `alias/${name}`, id, keyId.replace(`key/${id}`, `alias/${name}`)]) {
      expect(await provider.unwrapKey({ keyId: other, wrappedKey }), other).toEqual(key);
      expect((await provider.describeKey({ keyId: other })).keyId, other).toBe(keyId);
    }
    await provider.close();
  });
}
