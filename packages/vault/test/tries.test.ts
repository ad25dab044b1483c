import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bytes, utf8 } from "@lango/crypto-core";
import { jcs } from "@lango/envelope";
import type { Credential, SlotInfo } from "@lango/unlock";
import { expect, test } from "vitest";
import { expectCode, makeVault, newHome, PASSPHRASE, reopen, withPassphrase } from "./helpers.ts";

/** A person at a prompt, and all that they typed, as the vault leaves it. */
const person = (first: string, ...next: (string | undefined | Error)[]) => {
  const typed: Bytes[] = [];
  const type = (text: string): Bytes => {
    const secret = utf8(text);
    typed.push(secret);
    return secret;
  };
  const again: Credential["again"] = async () => {
    const answer = next.shift();
    if (answer instanceof Error) throw answer;
    return answer === undefined ? undefined : type(answer);
  };
  return {
    typed,
    left: () => next.length,
    unlock: async (slots: readonly SlotInfo[]) => {
      const { credential, skipped } = await withPassphrase()(slots);
      return { credential: { ...credential, secret: type(first), again }, skipped };
    },
  };
};

const failures = async (home: string): Promise<number> => {
  const vault = await reopen(home);
  const rows = await vault.audit.tail(20);
  await vault.close();
  return rows.filter(({ action, outcome }) => action === "vault.unlock" && outcome === "failure")
    .length;
};

const isZeroed = (secret: Bytes): boolean => secret.every((byte) => byte === 0);

test("a person may type three times; each is zeroed and noted, and a fourth is not asked for", async () => {
  const home = newHome();
  await (await makeVault(home)).close();
  const { unlock, typed, left } = person("one", "two", "three", PASSPHRASE);
  await expectCode(() => reopen(home, { unlock }), "ERR_WRONG_PASSPHRASE");
  expect(typed).toHaveLength(3);
  expect(typed.every(isZeroed)).toBe(true);
  expect(left()).toBe(1);
  expect(await failures(home)).toBe(3);
});

test("the third one may be right; who gives up or is interrupted ends it", async () => {
  const home = newHome();
  await (await makeVault(home)).close();
  const right = person("one", "two", PASSPHRASE);
  await (await reopen(home, { unlock: right.unlock })).close();
  expect(right.typed.every(isZeroed)).toBe(true);
  const tired = person("one", undefined, PASSPHRASE);
  await expectCode(() => reopen(home, { unlock: tired.unlock }), "ERR_WRONG_PASSPHRASE");
  expect(tired.left()).toBe(1);
  const interrupted = person("one", new Error("Ctrl-C"), PASSPHRASE);
  await expect(reopen(home, { unlock: interrupted.unlock })).rejects.toThrow("Ctrl-C");
  expect(interrupted.left()).toBe(1);
  for (const { typed } of [tired, interrupted]) expect(typed.every(isZeroed)).toBe(true);
  expect(await failures(home)).toBe(4);
});

test("what no passphrase mends is not asked for again", async () => {
  const home = newHome();
  await (await makeVault(home)).close();
  const file = join(home, "keyslots.json");
  // Its hash is right, as anybody can make it; its MAC is checked with the key that the passphrase opens.
  const { sha256: _, ...content } = JSON.parse(readFileSync(file, "utf8"));
  const altered = { ...content, generation: 2 };
  const sha256 = createHash("sha256").update(jcs(altered)).digest("hex");
  writeFileSync(file, JSON.stringify({ ...altered, sha256 }));
  const { unlock, left, typed } = person(PASSPHRASE, PASSPHRASE);
  await expectCode(() => reopen(home, { unlock }), "ERR_INTEGRITY");
  expect(left()).toBe(1);
  expect(typed.every(isZeroed)).toBe(true);
});
