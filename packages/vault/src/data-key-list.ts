import { setImmediate } from "node:timers/promises";
import type { VaultContext } from "./context.ts";
import type { Gate } from "./gate.ts";
import { type KeyRegistry, keyUri } from "./key-registry.ts";
import { sealsRowsOnly } from "./names.ts";
import { listOrphans, removeOrphans } from "./orphans.ts";
import { retireDataKey } from "./retire.ts";
import { findRotation } from "./rotation-job.ts";
import type { DataKeyInfo, VaultDataKeys } from "./rotation-types.ts";
import { checkRow } from "./rows.ts";

export const createDataKeyList = (
  context: VaultContext,
  registry: KeyRegistry,
  gate: Gate,
): VaultDataKeys => {
  const { store, keys } = context;

  const list = async (): Promise<DataKeyInfo[]> => {
    const uris = new Map((await registry.list()).map((key) => [key.id, keyUri(key)]));
    const infos: DataKeyInfo[] = [];
    for (const row of await store.dataKeys.list()) {
      checkRow(keys.rows, "data_keys", row);
      const { id, keyId, domain, state, createdAt } = row;
      const values = await store.secrets.countSealedBy(id);
      infos.push({ id, key: uris.get(keyId) ?? keyId, domain, state, createdAt, values });
      await setImmediate();
    }
    return infos;
  };

  return {
    list: () => gate.run(list),
    retire: ({ dryRun = false, orphans: removes = false } = {}) =>
      gate.run(async () => {
        const orphans =
          removes && !dryRun ? await removeOrphans(context) : await listOrphans(store);
        const infos = await list();
        // After the list: what a rotation has left by then is in its job until the check is done.
        const rotating = await findRotation(store, keys.rows);
        const isLeft = new Set(rotating?.status.dataKeys);
        const retired: DataKeyInfo[] = [];
        const needed: DataKeyInfo[] = [];
        for (const info of infos) {
          if (info.state !== "decrypt-only") continue;
          const isFree = info.values === 0 && sealsRowsOnly(info.domain) && !isLeft.has(info.id);
          if (!isFree) needed.push(info);
          else if (dryRun) retired.push(info);
          else if (await retireDataKey(context, info.id))
            retired.push({ ...info, state: "retired" });
          else needed.push(info);
        }
        return { orphans, retired, needed };
      }),
  };
};
