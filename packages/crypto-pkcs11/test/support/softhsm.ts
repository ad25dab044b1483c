import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "vitest";
import { findService, serviceNamed, serviceVariable } from "../../../../tooling/services/find.ts";
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

const program = process.env[serviceVariable("softhsm2")] ?? findService(serviceNamed("softhsm2"));

/** Registers tests that need SoftHSM; without it, one that is skipped and says why. */
export function withSoftHsm(name: string, register: () => void): void {
  if (program) register();
  else test(name, () => void requireService("softhsm2"));
}

/** As {@link withSoftHsm}, in a suite. */
export function describeWithSoftHsm(name: string, register: () => void): void {
  withSoftHsm(name, () => describe(name, register));
}

/** Makes a SoftHSM with tokens, by default one: `t1`. */
export function makeSoftHsm(labels: readonly string[] = ["t1"]): SoftHsm {
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
    const { status, stdout, stderr } = spawnSync(program!, args, {
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
    modulePath: softHsmModule(),
    env,
    folder,
    tokens,
    pin: Buffer.from(PIN),
    util,
    addToken,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const MODULES = [
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib64/pkcs11/libsofthsm2.so",
  "/opt/homebrew/lib/softhsm/libsofthsm2.so",
  "/usr/local/lib/softhsm/libsofthsm2.so",
];

function softHsmModule(): string {
  const found = MODULES.find((file) => existsSync(file));
  if (found === undefined) throw new Error(`softhsm2-util is here, but none of ${MODULES}`);
  return found;
}
