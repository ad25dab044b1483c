import fc from "fast-check";
import { expect, it } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import { insertKeys, insertSecret, KINDS } from "./helpers.ts";
import { bytes, versionRow } from "./rows.ts";

const KEEP = 3;
const RUNS = torture(30, 300);

type Step = { readonly do: "set" | "set stale" | "delete" | "set and fail"; readonly name: string };

const steps = fc.array(
  fc.record<Step>({
    do: fc.constantFrom("set", "set", "set", "set stale", "delete", "set and fail"),
    name: fc.constantFrom("a", "b", "c/é"),
  }),
  { maxLength: 40 },
);

/** What a store must hold, kept in the plainest way. */
interface Known {
  readonly id: string;
  version: number;
  live: boolean;
  sealed: Map<number, Uint8Array>;
}

it.each(KINDS)(
  "any order of writes leaves what a plain map would hold, with %s",
  async (name, database) => {
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(steps, async (work) => {
        const store = await database.newStore();
        const { dataKey } = await store.transaction("normal", insertKeys);
        const model = new Map<string, Known>();
        const set = (known: Known, ifVersion: number, fail = false) =>
          store.transaction("normal", async (tx) => {
            const version = versionRow({
              secretId: known.id,
              dataKeyId: dataKey.id,
              version: ifVersion + 1,
            });
            const change = {
              id: known.id,
              keyId: dataKey.keyId,
              currentVersion: ifVersion + 1,
              updatedAt: 1,
              mac: bytes(32),
            };
            await tx.secrets.addVersion(change, version, ifVersion);
            await tx.secrets.pruneVersions(known.id, KEEP);
            if (fail) throw new Error("on purpose");
            return version;
          });

        for (const { do: what, name } of work) {
          count(outcomes, what);
          const known = model.get(name);
          if (known === undefined) {
            if (what !== "set") continue;
            const { secret, version } = await store.transaction("normal", (tx) =>
              insertSecret(tx, dataKey, { name }),
            );
            model.set(name, {
              id: secret.id,
              version: 1,
              live: true,
              sealed: new Map([[1, version.sealed]]),
            });
          } else if (what === "set") {
            const { version, sealed } = await set(known, known.version);
            known.sealed = new Map([...known.sealed, [version, sealed] as const].slice(-KEEP));
            Object.assign(known, { version, live: true });
          } else if (what === "delete") {
            const grave = { id: known.id, deletedAt: 1, mac: bytes(32) };
            const buried = store.transaction("normal", (tx) =>
              tx.secrets.tombstone(grave, known.version),
            );
            if (known.live) await buried;
            else await expect(buried).rejects.toMatchObject({ code: "ERR_CONFLICT" });
            Object.assign(known, { live: false, sealed: new Map() });
          } else if (what === "set stale") {
            await expect(set(known, known.version - 1)).rejects.toMatchObject({
              code: "ERR_CONFLICT",
            });
          } else {
            await expect(set(known, known.version, true)).rejects.toThrow("on purpose");
          }
        }

        const live = [...model].filter(([, known]) => known.live).map(([name]) => name);
        const listed = await store.secrets.list({ collection: "secrets" });
        expect(listed.map((row) => row.name)).toEqual(live.sort());
        expect((await store.counts()).secrets).toBe(live.length);
        for (const [name, known] of model) {
          const kept = await store.secrets.listVersions(known.id);
          expect(kept.map((row) => row.version).reverse()).toEqual([...known.sealed.keys()]);
          for (const [version, sealed] of known.sealed) {
            expect((await store.secrets.findVersion(known.id, version))?.sealed).toEqual(sealed);
          }
          const current = await store.secrets.find("secrets", name);
          expect(current?.sealed).toEqual(known.sealed.get(known.version));
          expect((await store.secrets.describe("secrets", name))?.currentVersion).toBe(
            known.version,
          );
        }
        await store.close();
      }),
      { numRuns: RUNS },
    );
    report(`${RUNS} orders of writes compared with a plain map (${name}), writes`, outcomes);
  },
);
