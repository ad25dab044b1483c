import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  environment,
  expectOneFault,
  fileWith,
  folder,
  LANGO,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  sharedVaultHome,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

let home: string;
beforeAll(async () => {
  home = await sharedVaultHome();
});

const TEMPLATE = "KEY={{secret:api/key}}\nAGAIN={{secret:api/key}} {{ other }}\n";
const FILLED = `KEY=${SECRET}\nAGAIN=${SECRET} {{ other }}\n`;
const inject = (args: readonly string[], options: Parameters<typeof lango>[1] = {}) =>
  lango(["inject", ...args], { home, ...options });

describe("inject", () => {
  test("writes a file of mode 0600 with the allowed secrets in it, every other byte as it is", async () => {
    const out = join(folder(), "app.env");
    const template = Buffer.concat([Buffer.from(TEMPLATE), Buffer.from([0xff, 0, 0xc3, 0xa9])]);
    const args = ["-i", fileWith(template), "-o", out, "--allow", "api/key"];
    const ran = await inject(args);
    expect(ran).toMatchObject({
      code: 0,
      stdout: `wrote ${out}, with 1 secret in it\n`,
      stderr: "",
    });
    const filled = Buffer.concat([Buffer.from(FILLED), Buffer.from([0xff, 0, 0xc3, 0xa9])]);
    expect(readFileSync(out).equals(filled)).toBe(true);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const { document } = await langoJson(["audit", "tail"], { home });
    const actions = document.data.events.slice(-2).map((event: { action: string }) => event.action);
    expect(actions).toEqual(["secret.get", "secret.inject"]);
  });

  test("with --dry-run says what it would write, and reads no value", async () => {
    const out = join(folder(), "app.env");
    const args = ["-i", fileWith(TEMPLATE), "-o", out, "--allow", "api/key", "--dry-run"];
    const before = await langoJson(["audit", "tail"], { home });
    const ran = await inject(args);
    expect(ran).toMatchObject({
      code: 0,
      stdout: `would write ${out}, with 1 secret in it\n`,
      stderr: "",
    });
    expect(existsSync(out)).toBe(false);
    const after = await langoJson(["audit", "tail"], { home });
    const reads = ({ data }: typeof before.document) =>
      data.events.filter(({ action }: { action: string }) => action.startsWith("secret.")).length;
    expect(reads(after.document)).toBe(reads(before.document));
    const unknown = await inject([
      ...["-i", fileWith("{{secret:none}}"), "--allow", "none", "--dry-run"],
    ]);
    expectOneFault(unknown, 3, /no secret none/);
  });

  test("reads standard input and writes standard output", async () => {
    const ran = await inject(["--allow", "api/key", "--passphrase-file", fileWith(PASSPHRASE)], {
      input: TEMPLATE,
    });
    expect(ran).toMatchObject({ code: 0, stdout: FILLED });
  });

  test("leaves the file as it was when a name is not allowed, does not exist, or is no name", async () => {
    const out = fileWith("before");
    for (const [template, code, line] of [
      [TEMPLATE, 5, /not allowed: api\/key/],
      ["{{secret:none}}", 3, /none/],
      ["{{secret:a b}}", 2, /malformed/],
      [`{{secret:api/key#${"0".repeat(32)}}}`, 2, /Only \{\{secret:NAME\}\}/],
    ] as const) {
      const ran = await inject(["-i", fileWith(template), "-o", out, "--allow", "none", "--yes"]);
      expectOneFault(ran, code, line);
      expect(readFileSync(out, "utf8")).toBe("before");
    }
  });

  test("is refused where every process of the user could open the vault", async () => {
    const own = await vaultHome();
    const out = join(folder(), "x");
    const ran = await inject(["-i", fileWith(TEMPLATE), "-o", out, "--allow", "api/key"], {
      home: own,
      env: { LANGO_PASSPHRASE: undefined, LANGO_KEYFILE: fileWith(PASSPHRASE) },
    });
    expectOneFault(ran, 5, /needs a person's consent/);
    expect(existsSync(out)).toBe(false);
  });

  test("asks on a terminal for names that were not allowed", async () => {
    const out = join(folder(), "x");
    for (const [answer, exitCode] of [
      ["n\r", 5],
      ["y\r", 0],
    ] as const) {
      const terminal = new Terminal(
        process.execPath,
        [...LANGO, "inject", "-i", fileWith(TEMPLATE), "-o", out],
        environment(home),
      );
      await terminal.see(`Put api/key into ${out}? [y/N] `);
      terminal.type(answer);
      expect(await terminal.end()).toMatchObject({ exitCode });
    }
    expect(readFileSync(out, "utf8")).toBe(FILLED);
  });
});
