import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  quickKdf,
  reopen,
  text,
} from "./helpers.ts";

const NEW = "another long passphrase";

describe("changing the passphrase", () => {
  test("lets the new one in and the old one not, with every secret readable", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("v"));
    const [before] = await vault.slots.list();
    const slot = await vault.slots.changePassphrase({
      oldPassphrase: bytes(PASSPHRASE),
      newPassphrase: bytes(NEW),
      kdf: quickKdf(),
      acceptWeakKdf: true,
    });
    expect(slot.id).not.toBe(before?.id);
    expect(await vault.slots.list()).toEqual([slot]);
    expect(await vault.status()).toMatchObject({ slotGeneration: 2 });
    // The vault that is open goes on.
    expect(text((await vault.secrets.get("a")).value)).toBe("v");
    await vault.close();
    expect(readFileSync(join(home, "keyslots.bak.json"))).toEqual(
      readFileSync(join(home, "keyslots.json")),
    );
    expect(existsSync(join(home, "keyslots.json.tmp"))).toBe(false);
    await expectCode(() => reopen(home), "ERR_WRONG_PASSPHRASE");
    const again = await reopen(home, { passphrase: NEW });
    expect(text((await again.secrets.get("a")).value)).toBe("v");
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
    expect((await again.audit.tail()).map(({ action }) => action)).toContain(
      "slots.change-passphrase",
    );
  });

  test("needs the old one, and 8 characters of the new one", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const before = readFileSync(join(home, "keyslots.json"));
    await expectCode(
      () =>
        vault.slots.changePassphrase({
          oldPassphrase: bytes("wrong horse"),
          newPassphrase: bytes(NEW),
        }),
      "ERR_WRONG_PASSPHRASE",
    );
    expect((await vault.audit.tail(1))[0]).toMatchObject({
      action: "slots.change-passphrase",
      outcome: "failure",
      code: "ERR_WRONG_PASSPHRASE",
    });
    await expectCode(
      () =>
        vault.slots.changePassphrase({
          oldPassphrase: bytes(PASSPHRASE),
          newPassphrase: bytes("short"),
        }),
      "ERR_INVALID_ARGUMENT",
    );
    expect(readFileSync(join(home, "keyslots.json"))).toEqual(before);
  });

  test("says whether a secret opens a slot, and changes nothing", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const [slot] = await vault.slots.list();
    const before = readFileSync(join(home, "keyslots.json"));
    expect(await vault.slots.opens(slot!.id, bytes(PASSPHRASE))).toBe(true);
    expect(await vault.slots.opens(slot!.id, bytes("another passphrase"))).toBe(false);
    await expectCode(() => vault.slots.opens("0".repeat(24), bytes(PASSPHRASE)), "ERR_NOT_FOUND");
    expect(readFileSync(join(home, "keyslots.json"))).toEqual(before);
  });

  test("twice at once: one after the other, or a typed refusal", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const change = (to: string) =>
      vault.slots.changePassphrase({
        oldPassphrase: bytes(PASSPHRASE),
        newPassphrase: bytes(to),
        kdf: quickKdf(),
        acceptWeakKdf: true,
      });
    const results = await Promise.allSettled([change("first new one"), change("second new one")]);
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused).toHaveLength(1);
    expect(refused[0]?.reason).toMatchObject({ code: "ERR_WRONG_PASSPHRASE" });
    const winner = results[0]?.status === "fulfilled" ? "first new one" : "second new one";
    await vault.close();
    await reopen(home, { passphrase: winner });
  });
});
