import type { Store } from "@lango/store";

/** Everything that the reads return, as JSON; bytes as hex. */
export async function readAll(store: Store): Promise<unknown> {
  const keys = await store.keys.list();
  const secrets = ["api/token", "gone"];
  const describe = (name: string) => store.secrets.describe("secrets", name);
  const rows = {
    vault: await store.vault.get(),
    keys,
    keyVersions: await Promise.all(keys.map((key) => store.keys.listVersions(key.id))),
    dataKeys: await store.dataKeys.list(),
    secrets: await Promise.all(secrets.map(describe)),
    current: await store.secrets.find("secrets", "api/token"),
    first: await store.secrets.findVersion((await describe("api/token"))?.id ?? "", 1),
    audit: await store.audit.tail(100),
    counts: await store.counts(),
  };
  const text = JSON.stringify(rows, (_, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
  );
  return JSON.parse(text);
}
