import type { DataKeyRow } from "@lango/store";
import { VAULT_WRAP } from "./data-key-wrap.ts";
import type { DataKeyGroup } from "./provider-types.ts";
import type { SlotSummary } from "./slot-types.ts";

/** Data keys by their wrapper, in the order of the URIs. Retired ones open nothing and are left out. */
export const groupDataKeys = (
  rows: readonly Pick<DataKeyRow, "wrapUri" | "state" | "degraded">[],
): DataKeyGroup[] => {
  const groups = new Map<string, DataKeyGroup>();
  for (const { wrapUri: uri, state, degraded } of rows) {
    if (state === "retired") continue;
    const known = groups.get(uri) ?? { uri, count: 0, degraded: 0 };
    groups.set(uri, {
      uri,
      count: known.count + 1,
      degraded: known.degraded + (degraded ? 1 : 0),
    });
  }
  return [...groups.values()].sort((a, b) => (a.uri < b.uri ? -1 : 1));
};

/**
 * The key without which nothing in the vault can be opened. A slot of anything else opens the vault key, and with it the audit
 * key, local keys and what the vault key wraps; a degraded data key has been outside the provider's reach since it was made.
 */
export const rootedIn = (
  slots: readonly Pick<SlotSummary, "kind" | "uri">[],
  dataKeys: readonly DataKeyGroup[],
): string | null => {
  const root = slots[0]?.uri;
  if (root === undefined) return null;
  const onlySlots = slots.every(({ kind, uri }) => kind === "provider" && uri === root);
  const onlyWraps = dataKeys.every(
    ({ uri, degraded }) => degraded === 0 && (uri === root || uri === VAULT_WRAP),
  );
  return onlySlots && onlyWraps ? root : null;
};
