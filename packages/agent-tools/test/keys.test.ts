import { expect, test } from "vitest";
import { createAgentKeys } from "../src/keys.ts";

test("a key that was put under a provider still opens what it sealed while it was local", async () => {
  const moved = { name: "reports", uri: "kms:reports", type: "encryption" };
  const vault = {
    keys: { list: async () => [moved] },
    status: async () => ({ slots: [] }),
  } as unknown as Parameters<typeof createAgentKeys>[0]["vault"];
  const asked: string[] = [];
  const keys = createAgentKeys({
    vault,
    crypto: (uri) => {
      asked.push(uri);
      return { client: {} as never, keyId: uri };
    },
  });
  expect(await keys.resolve("local:reports")).toMatchObject({ keyId: "local:reports" });
  expect(await keys.resolve("kms:reports")).toMatchObject({ keyId: "kms:reports" });
  expect(await keys.resolve("local:other")).toBeUndefined();
  expect(asked).toEqual(["local:reports", "kms:reports"]);
});
