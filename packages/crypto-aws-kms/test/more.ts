import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { createAwsKmsProvider } from "../src/index.ts";
import type { Settings } from "./servers.ts";

const key = new Uint8Array(32).fill(5);
const aad = new Uint8Array([1, 2, 3]);

/** What the conformance suite does not ask, on a server. */
export function testMore(server: string, start: () => Promise<Settings>): void {
  const create = async () => createAwsKmsProvider(await start());
  const newKey = { algorithm: "aes-256-gcm", usage: "encryption" } as const;

  test(`trap 2a.14 on ${server}: rewrapKey moves a wrapped key to another key inside the service`, async () => {
    const provider = await create();
    const { keyId } = await provider.createKey(newKey);
    const { keyId: toKeyId } = await provider.createKey(newKey);
    const { wrappedKey } = await provider.wrapKey({ keyId, key, aad });
    const moved = await provider.rewrapKey({ keyId, toKeyId, wrappedKey, aad });
    expect(moved.keyId).toBe(toKeyId);
    expect(await provider.unwrapKey({ ...moved, aad })).toEqual(key);
    const opened = provider.unwrapKey({ ...moved, aad: key });
    await expect(opened).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    const wrong = provider.rewrapKey({ keyId, toKeyId, wrappedKey, aad: key });
    await expect(wrong).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    await provider.close();
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
