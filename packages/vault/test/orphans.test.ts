import { expect, test } from "vitest";
import { newRotationJob, rotationOf } from "../src/rotation-job.ts";
import { withMac } from "../src/rows.ts";
import { edit, forge, openKeys } from "./forge.ts";
import { bytes, expectCode, makeVault, newHome, text } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { checkWhole } from "./rig/whole.ts";

test("versions whose secret has lost its row: a rotation names them before it begins, and they can be removed", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("first"));
  await vault.secrets.set("a", bytes("second"));
  await vault.secrets.set("b", bytes("kept"));
  edit(home, "DELETE FROM secrets WHERE name = 'a'");
  const error = await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  expect(error.message).toContain("secrets/a@1, secrets/a@2");
  expect(error.context["hint"]).toContain("lango keys retire --orphans");
  expect(await vault.rotation.status()).toBeUndefined();

  const names = ["secrets/a@1", "secrets/a@2"];
  expect(await vault.dataKeys.retire({ dryRun: true, orphans: true })).toMatchObject({
    orphans: names,
  });
  expect(await vault.dataKeys.retire()).toMatchObject({ orphans: names });
  expect(await vault.dataKeys.retire({ orphans: true })).toMatchObject({ orphans: names });
  expect((await vault.audit.tail(1))[0]).toMatchObject({ action: "secret.remove-orphans" });
  expect(await vault.rotation.start()).toMatchObject({ resealed: 1, verified: 1 });
  expect(text((await vault.secrets.get("b")).value)).toBe("kept");
  await checkWhole(vault, home);
});

test("versions that lose their secret's row while a rotation runs are named by it, and it ends once they are gone", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("first"));
  await vault.secrets.set("b", bytes("kept"));
  onStage("rotate:wrapped", () => edit(home, "DELETE FROM secrets WHERE name = 'a'"));
  const error = await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  expect(error.message).toContain("secrets/a@1");
  await vault.dataKeys.retire({ orphans: true });
  expect(await vault.rotation.resume()).toMatchObject({ verified: 1 });
  await checkWhole(vault, home);
});

test("a secret that was made anew under the name keeps its own versions", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("first"));
  await vault.secrets.set("a", bytes("second"));
  edit(home, "DELETE FROM secrets WHERE name = 'a'");
  await vault.secrets.set("a", bytes("anew"));
  expect((await vault.dataKeys.retire({ orphans: true })).orphans).toEqual([
    ...["secrets/a@1", "secrets/a@2"],
  ]);
  expect(text((await vault.secrets.get("a")).value)).toBe("anew");
  expect(await vault.secrets.history("a")).toHaveLength(1);
  await checkWhole(vault, home);
});

test("a version that the log does not know has its secret's id for a name", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("first"));
  edit(
    home,
    "INSERT INTO secret_versions SELECT 'ghost', 7, data_key_id, x'00', size, created_at FROM secret_versions",
  );
  const error = await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  expect(error.message).toContain("version 7 of ghost");
  await vault.dataKeys.retire({ orphans: true });
  await vault.rotation.start();
  await checkWhole(vault, home);
});

test("the values of a disabled key are sealed again like others", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.keys.create({ name: "old", type: "encryption", algorithm: "aes-256-gcm" });
  await vault.secrets.set("a", bytes("value"), { key: "old" });
  await vault.secrets.set("b", bytes("value"));
  await forge(home, async (tx, { keys }) => {
    const row = (await tx.keys.list()).find(({ name }) => name === "old")!;
    await tx.keys.update(withMac(keys.rows, "keys", { ...row, state: "disabled" }), row.mac);
  });
  await expectCode(() => vault.secrets.set("a", bytes("other")), "ERR_KEY_DISABLED");
  const { resealed, retired } = await vault.rotation.start();
  expect([resealed, retired.length]).toEqual([2, 2]);
  expect(text((await vault.secrets.get("a")).value)).toBe("value");
  await expectCode(() => vault.secrets.set("a", bytes("other")), "ERR_KEY_DISABLED");
});

test("the job of a rotation holds 100,000 data keys, and is not written where it would be too long to read", async () => {
  const home = newHome();
  await makeVault(home);
  const { keys } = await openKeys(home);
  const ids = (count: number): string[] =>
    Array.from({ length: count }, (_, i) => i.toString(16).padStart(24, "0"));
  const status = { startedAt: 1, dataKeys: ids(100_000), total: 1 };
  expect(rotationOf(newRotationJob(keys.rows, status))).toEqual(status);
  const tooMany = { ...status, dataKeys: ids(320_000) };
  const error = await expectCode(async () => newRotationJob(keys.rows, tooMany), "ERR_CONFLICT");
  expect(error.message).toContain("320000 data keys");
});
