import { expect, test } from "vitest";
import { UNLOCK_VARIABLES, withoutUnlockVariables } from "../src/index.ts";

test("no unlock variable reaches a child, everything else does", () => {
  const env = Object.fromEntries(UNLOCK_VARIABLES.map((name) => [name, "secret"]));
  const other = { PATH: "/bin", LANGO_HOME: "/home/me/.lango", lango_passphrase_hint: "none" };
  const before = { ...env, ...other, Lango_Passphrase: "secret" };
  expect(withoutUnlockVariables(before)).toEqual(other);
  expect(before).toHaveProperty("LANGO_PASSPHRASE");
});

test("every variable that the unlocker reads is on the list", () => {
  expect(UNLOCK_VARIABLES).toEqual(
    expect.arrayContaining([
      "LANGO_PASSPHRASE",
      "LANGO_PASSPHRASE_FILE",
      "LANGO_KEYFILE",
      "LANGO_MASTER_KEY",
      "LANGO_MASTER_KEY_FILE",
      "AUTHSOME_MASTER_KEY",
      "AUTHSOME_MASTER_KEY_FILE",
    ]),
  );
});
