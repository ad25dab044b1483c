import { expect, onTestFinished, test } from "vitest";
import { POSTGRES_USER, startPostgres } from "../../../tooling/services/postgres.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen, text } from "./helpers.ts";

test("with the slots as a row, a new vault key comes in one transaction, and others fail closed", {
  timeout: 120_000,
}, async () => {
  const password = "pass";
  const server = await startPostgres(requireService("postgres"), password);
  onTestFinished(() => server.stop());
  const url = `postgres://${POSTGRES_USER}:${password}@127.0.0.1:${server.port}/postgres`;
  const [home, store] = [newHome(), { url }];
  const made = await makeVault(home, PASSPHRASE, { store });
  await made.secrets.set("a", bytes("v"));
  const stale = await reopen(home, { store });
  const [slot] = await made.slots.list();
  const credential = { kind: "passphrase", passphrase: bytes(PASSPHRASE) } as const;
  const { vault, generation } = await made.rekey({
    credentials: [{ slotId: slot!.id, credential }],
  });
  expect(generation).toBe(2);
  await expectCode(() => stale.secrets.get("a"), "ERR_LOCKED");
  await expectCode(() => stale.secrets.set("a", bytes("lost")), "ERR_LOCKED");
  await expectCode(() => stale.keys.create({ name: "x", type: "encryption" }), "ERR_LOCKED");
  expect(text((await vault.secrets.get("a")).value)).toBe("v");
  await vault.secrets.set("b", bytes("w"));
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  await vault.close();
  const again = await reopen(home, { store });
  expect(text((await again.secrets.get("b")).value)).toBe("w");
  await again.close();
});
