import { createSecretKey, type KeyObject } from "node:crypto";
import type { Keyslots } from "@lango/envelope";
import { expect, test } from "vitest";
import { isBefore, isPinned, isPinSound, readPin, writePin } from "../src/pins.ts";
import { newHome } from "./helpers.ts";

const key = (byte: number): KeyObject => createSecretKey(new Uint8Array(32).fill(byte));
const slots = (vaultId: string, generation: number, mac = "aa".repeat(32)): Keyslots =>
  ({ vaultId, generation, mac }) as Keyslots;

test("a pin knows older slots, others of the same number, and who wrote it", async () => {
  const path = `${newHome()}/pins.json`;
  expect(await readPin(path, "a")).toBeUndefined();
  expect(isBefore(undefined, slots("a", 1))).toBe(false);
  await writePin(path, { current: key(1) }, slots("a", 5));
  const pin = await readPin(path, "a");
  if (!pin) throw new Error("There is no pin");
  expect(isPinned(pin, slots("a", 5))).toBe(true);
  expect(isBefore(pin, slots("a", 5))).toBe(false);
  expect(isBefore(pin, slots("a", 4))).toBe(true);
  expect(isBefore(pin, slots("a", 6))).toBe(false);
  // Another branch of the same vault.
  expect(isPinned(pin, slots("a", 5, "bb".repeat(32)))).toBe(false);
  expect(isBefore(pin, slots("a", 5, "bb".repeat(32)))).toBe(true);

  expect(isPinSound({ current: key(1) }, "a", pin)).toBe(true);
  // After a rekey the pin is still under the key of before.
  expect(isPinSound({ current: key(2), former: key(1) }, "a", pin)).toBe(true);
  expect(isPinSound({ current: key(2) }, "a", pin)).toBe(false);
  expect(isPinSound({ current: key(1) }, "b", pin)).toBe(false);
  expect(isPinSound({ current: key(1) }, "a", { ...pin, generation: 6 })).toBe(false);
  expect(isPinSound({ current: key(1) }, "a", { ...pin, mac: "" })).toBe(false);
});

test("the pins of several vaults share a file", async () => {
  const path = `${newHome()}/pins.json`;
  await writePin(path, { current: key(1) }, slots("a", 5));
  await writePin(path, { current: key(2) }, slots("b", 7));
  await writePin(path, { current: key(1) }, slots("a", 6));
  expect([await readPin(path, "a"), await readPin(path, "b")]).toMatchObject([
    { generation: 6 },
    { generation: 7 },
  ]);
  expect(await readPin(path, "constructor")).toBeUndefined();
});
