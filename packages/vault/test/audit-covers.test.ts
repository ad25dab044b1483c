import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { AuditRecord, Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

const NEW = "another passphrase";

const records = async (
  vault: Vault,
  options?: Parameters<Vault["audit"]["records"]>[0],
): Promise<AuditRecord[]> => {
  const all: AuditRecord[] = [];
  for await (const record of vault.audit.records(options)) all.push(record);
  return all;
};

describe("the log has", () => {
  test("failures, denials and every change of the slots, each with its code and its time", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("wallet/seed", bytes("s3cr3t"));
    const agent = { audience: "agent" } as const;
    await expectCode(() => vault.secrets.get("wallet/seed", agent), "ERR_DENIED");
    await expectCode(() => vault.secrets.get("nothing"), "ERR_NOT_FOUND");
    const [first] = await vault.slots.list();
    await expectCode(() => vault.slots.remove(first!.id), "ERR_CONFLICT");
    const added = await vault.slots.add({ kind: "env", key: new Uint8Array(32).fill(7) });
    await vault.slots.remove(added.id);
    await vault.slots.changePassphrase({
      oldPassphrase: bytes(PASSPHRASE),
      newPassphrase: bytes(NEW),
      acceptWeakKdf: true,
    });
    await vault.close();
    await expectCode(
      () => reopen(home, { passphrase: "a wrong passphrase" }),
      "ERR_WRONG_PASSPHRASE",
    );
    const again = await reopen(home, { passphrase: NEW });
    const found = (await records(again)).map(({ action, outcome, code, actor }) =>
      [action, outcome, ...(code === undefined ? [] : [code]), actor.kind].join(" "),
    );
    for (const row of [
      "secret.get failure ERR_DENIED agent",
      "secret.get failure ERR_NOT_FOUND owner",
      "slots.remove failure ERR_CONFLICT owner",
      "slots.add success owner",
      "slots.remove success owner",
      "slots.change-passphrase success owner",
      "vault.unlock failure ERR_WRONG_PASSPHRASE owner",
      "vault.unlock success owner",
    ]) {
      expect(found).toContain(row);
    }
    // Every generation of the slots file was announced and committed.
    expect(found.filter((row) => row.startsWith("slots.commit success"))).toHaveLength(4);
    expect(JSON.stringify(await records(again))).not.toContain("s3cr3t");
  });
});

describe("records", () => {
  test("come in order with their hashes, from any row to any row, since any time", async () => {
    const vault = await makeVault(newHome());
    for (const name of ["a", "b", "c"]) await vault.secrets.set(name, bytes("v"));
    await Promise.all(["a", "b", "c"].map((name) => vault.secrets.get(name)));
    const all = await records(vault);
    const { rows, head } = await vault.audit.verify();
    expect(all.at(-1)).toMatchObject({ seq: rows, hash: head, part: 2, action: "secret.get" });
    expect(all.slice(-3).map(({ part, target }) => `${part} ${target}`)).toEqual([
      ...["0 a", "1 b", "2 c"],
    ]);
    expect(await records(vault, { from: 3, to: 4 })).toEqual(
      all.filter(({ seq }) => seq === 3 || seq === 4),
    );
    const { ts } = all[3]!;
    expect(await records(vault, { since: ts })).toEqual(all.filter((each) => each.ts >= ts));
    expect(await records(vault, { from: rows + 1 })).toEqual([]);
    await expectCode(() => records(vault, { from: 0 }), "ERR_INVALID_ARGUMENT");
    await expectCode(() => records(vault, { to: 1.5 }), "ERR_INVALID_ARGUMENT");
  });

  test("go over many pages, and end at the row that does not fit", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    for (let count = 0; count < 1100; count += 1) {
      await vault.audit.append({ action: "run.start", target: `${count}`, durability: "normal" });
    }
    const all = await records(vault);
    expect(all.filter(({ action }) => action === "run.start")).toHaveLength(1100);
    await vault.close();
    const database = new Sqlite(join(home, "lango.db"), {});
    database.exec("delete from audit_log where seq = 700");
    database.close();
    const again = await reopen(home);
    const seen: number[] = [];
    const error = await expectCode(async () => {
      for await (const { seq } of again.audit.records()) seen.push(seq);
    }, "ERR_INTEGRITY");
    expect(error.message).toBe("Row 700 of the log is missing");
    expect(seen.at(-1)).toBe(699);
  });
});
