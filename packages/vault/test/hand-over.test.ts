import { randomBytesFresh } from "@lango/crypto-core";
import type { SlotInfo, UnlockResult } from "@lango/unlock";
import { describe, expect, test } from "vitest";
import { type HandedOver, openVault } from "../src/index.ts";
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

/** What an agent gives that was handed this. */
const byAgent =
  ({ vaultKey, slotId }: HandedOver) =>
  async (_slots: readonly SlotInfo[]): Promise<UnlockResult> => ({
    credential: {
      kind: "agent",
      source: "unlock agent",
      secret: vaultKey.slice(),
      ambient: true,
      slotIds: [slotId],
    },
    skipped: [],
  });

/** A vault with a second passphrase, and the key that an agent was given by either. */
async function handedOver() {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const passphrase = bytes("another long passphrase");
  const second = await vault.slots.add({
    kind: "passphrase",
    passphrase,
    kdf: quickKdf(),
    acceptWeakKdf: true,
  });
  const key = await vault.handOver("for an hour");
  return { home, vault, second, key };
}

describe("the vault key in the hands of an agent", () => {
  test("opens the vault; the log has the handing over, and who opened it", async () => {
    const { home, vault, key } = await handedOver();
    expect(key.vaultKey).toHaveLength(32);
    expect(key.slotId).toBe(vault.unlockedBy.slotId);
    await vault.close();
    const opened = await reopen(home, { unlock: byAgent(key) });
    expect(opened.unlockedBy).toEqual({
      ...{ slotId: key.slotId, kind: "agent", source: "unlock agent", ambient: true, skipped: [] },
    });
    expect(text((await opened.secrets.get("a")).value)).toBe("value");
    const events = await opened.audit.tail();
    expect(events.find(({ action }) => action === "agent.unlock")).toMatchObject({
      ...{ target: key.slotId, detail: "for an hour", outcome: "success" },
    });
    expect(events.findLast(({ action }) => action === "vault.unlock")).toMatchObject({
      target: "agent",
      actor: { source: "unlock agent" },
    });
    expect(JSON.stringify(events)).not.toContain(Buffer.from(key.vaultKey).toString("hex"));
    // It would never end otherwise.
    await expectCode(opened.handOver("again"), "ERR_DENIED");
    // The slot that it stands for counts as the one that opened the vault.
    await expectCode(opened.slots.remove(key.slotId), "ERR_CONFLICT");
  });

  test("opens nothing once its slot is gone, or its passphrase was changed", async () => {
    const { home, vault, second, key } = await handedOver();
    await vault.slots.remove(second.id);
    // Another slot does not matter.
    await (await openVault({ home, unlock: byAgent(key) })).close();
    const stale = { ...key, slotId: second.id };
    await expectCode(openVault({ home, unlock: byAgent(stale) }), "ERR_WRONG_PASSPHRASE");
    await vault.slots.changePassphrase({
      ...{ oldPassphrase: bytes(PASSPHRASE), newPassphrase: bytes("a third long passphrase") },
      ...{ kdf: quickKdf(), acceptWeakKdf: true },
    });
    const failure = await openVault({ home, unlock: byAgent(key) }).catch((error) => error);
    expect(failure).toMatchObject({
      code: "ERR_WRONG_PASSPHRASE",
      message: expect.stringContaining("changed or removed (from unlock agent)"),
      context: { hint: expect.stringContaining("lango lock") },
    });
    // Noted, as every failure to open is.
    const opened = await reopen(home, { passphrase: "a third long passphrase" });
    const failures = (await opened.audit.tail()).filter(({ outcome }) => outcome === "failure");
    expect(failures.map(({ code }) => code)).toEqual([
      "ERR_WRONG_PASSPHRASE",
      "ERR_WRONG_PASSPHRASE",
    ]);
  });

  test("opens nothing of another vault key", async () => {
    const { home, key } = await handedOver();
    const other = { ...key, vaultKey: randomBytesFresh(32) };
    const failure = await openVault({ home, unlock: byAgent(other) }).catch((error) => error);
    expect(failure).toMatchObject({
      code: "ERR_WRONG_PASSPHRASE",
      message: expect.stringContaining("of another vault key, or was altered"),
    });
  });

  test("is not handed out by a vault that is closed", async () => {
    const { vault } = await handedOver();
    await vault.close();
    await expectCode(vault.handOver("late"), "ERR_CLOSED");
  });
});
