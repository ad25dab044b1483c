import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { BAD_CIPHERTEXT, FAILURE_CLASSES } from "../../src/errors.ts";
import { makeSoftHsm, PIN, withToken } from "../support/softhsm.ts";

const folder = fileURLToPath(new URL("../..", import.meta.url));
const readme = readFileSync(path.join(folder, "README.md"), "utf8");

withToken("softhsm2", () => {
  test("the example of the README runs", async () => {
    const [, example] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
    expect(example).toContain("assert.");
    const hsm = makeSoftHsm();
    const env = { ...hsm.env, PKCS11_MODULE: hsm.modulePath, LANGO_PKCS11_PIN: PIN };
    Object.assign(process.env, env);
    // Inside the package, so that it finds the packages that a user would have installed.
    const temporary = mkdtempSync(path.join(folder, "test", ".readme-"));
    try {
      const file = path.join(temporary, "example.ts");
      writeFileSync(file, example!);
      await import(file);
    } finally {
      for (const name of Object.keys(env)) delete process.env[name];
      rmSync(temporary, { recursive: true });
      hsm.remove();
    }
  });
});

test("the README names every return value that has a class", () => {
  for (const name of [...Object.keys(FAILURE_CLASSES), ...BAD_CIPHERTEXT]) {
    if (name.startsWith("CKR_")) expect(readme).toContain(name);
  }
});
