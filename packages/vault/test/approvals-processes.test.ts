import { expect, test } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { bytes, newHome } from "./helpers.ts";
import { runScript } from "./rig/spawn.ts";
import { ACTION, BOX, create, open } from "./rig/work.ts";

const PROCESSES = 8;
const USES = torture(20, 200);

test("eight processes at once use a grant and a handle exactly as often as they hold", {
  timeout: 600_000,
}, async () => {
  const home = newHome();
  const vault = await create(home);
  await vault.secrets.set("a", bytes("value"));
  const { grants, handles } = vault.approvals;
  const grant = { action: ACTION, by: "terminal", minutes: 60, maxUses: USES };
  await grants.add({ ...grant, scope: "minutes", dangerous: true });
  const { handle } = await handles.issue({ ...BOX, uses: USES, minutes: 60 });
  await vault.close();

  // Together they try more often than it holds.
  const attempts = `${Math.ceil((3 * USES) / PROCESSES)}`;
  const runs = await Promise.all(
    Array.from({ length: PROCESSES }, () => runScript("uses", home, handle, attempts)),
  );
  let [granted, opened] = [0, 0];
  for (const { status, output } of runs) {
    expect(status, output).toBe(0);
    const used = JSON.parse(output) as { readonly grants: number; readonly handles: number };
    granted += used.grants;
    opened += used.handles;
  }
  expect({ granted, opened }).toEqual({ granted: USES, opened: USES });

  const after = await open(home);
  const log = await after.audit.tail(1000);
  const count = (action: string) => log.filter((event) => event.action === action).length;
  expect([count("grant.use"), count("handle.use")]).toEqual([USES, USES]);
  expect(await after.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  expect(await after.approvals.grants.list()).toEqual([]);
  await after.close();
  const outcomes = new Map(Object.entries({ granted, opened }));
  report(`${PROCESSES} processes that use up a grant and a handle of ${USES} uses`, outcomes);
});
