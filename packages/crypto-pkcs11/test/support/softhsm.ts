import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "vitest";
import { findService, serviceNamed, serviceVariable } from "../../../../tooling/services/find.ts";
import { pkcs11Module } from "../../../../tooling/services/pkcs11.ts";
import { requireService } from "../../../../tooling/vitest/require-service.ts";

/** A folder with SoftHSM tokens of its own. */
export interface SoftHsm {
  readonly modulePath: string;
  /** For the module, and for `softhsm2-util`. */
  readonly env: { readonly SOFTHSM2_CONF: string };
  readonly folder: string;
  /** Where the tokens are. */
  readonly tokens: string;
  readonly pin: Uint8Array;
  /** Runs softhsm2-util; fails the test if it fails. */
  util(...args: string[]): string;
  addToken(label: string, pin?: string): void;
  remove(): void;
}

export const PIN = "1234";
export const SO_PIN = "12345678";

const found = (name: string): string | undefined =>
  process.env[serviceVariable(name)] ?? findService(serviceNamed(name));

/** Registers tests on a token; without the token, or without pkcs11js, one that is skipped and says why. */
export function withToken(service: "softhsm2" | "nss", register: () => void): void {
  const missing = ["pkcs11js", service].find((name) => !found(name));
  if (missing === undefined) register();
  else test(`on ${service}`, () => void requireService(missing));
}

/** Makes a SoftHSM with tokens, by default one: `t1`. */
export function makeSoftHsm(labels: readonly string[] = ["t1"]): SoftHsm {
  const program = found("softhsm2")!;
  const folder = mkdtempSync(path.join(tmpdir(), "lango-softhsm-"));
  const tokens = path.join(folder, "tokens");
  mkdirSync(tokens);
  const conf = path.join(folder, "softhsm2.conf");
  writeFileSync(
    conf,
    `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const env = { SOFTHSM2_CONF: conf };
  const util = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(program, args, {
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
    if (status !== 0) throw new Error(`softhsm2-util ${args[0]}: ${stdout}${stderr}`);
    return stdout;
  };
  const addToken = (label: string, pin = PIN): void => {
    util("--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", pin);
  };
  for (const label of labels) addToken(label);
  return {
    modulePath: pkcs11Module("softhsm2"),
    env,
    folder,
    tokens,
    pin: Buffer.from(PIN),
    util,
    addToken,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
