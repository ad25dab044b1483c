import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { SoftHsm } from "./softhsm.ts";

/** SoftHSM behind a module that fails on demand; see fault-module.c. */
export interface FaultyHsm {
  readonly modulePath: string;
  readonly env: Readonly<Record<string, string>>;
  readonly pin: Uint8Array;
  /** From now on, until it fired `times` times: -1 for always. */
  fault(name: string, what: string, times?: number): void;
  mend(): void;
  /** How often a function was called since the last time somebody asked about any. */
  calls(name: string): number;
  /** In which processes. */
  processes(name: string): number[];
}

const source = fileURLToPath(new URL("fault-module.c", import.meta.url));
const headers = fileURLToPath(
  new URL("../../node_modules/pkcs11js/includes/pkcs11", import.meta.url),
);

/** Compiles the module, with the compiler that pkcs11js needs too. */
export function makeFaulty(hsm: SoftHsm): FaultyHsm {
  const modulePath = path.join(hsm.folder, "fault-module.so");
  const args = ["-shared", "-fPIC", "-w", `-I${headers}`, "-o", modulePath, source, "-ldl"];
  const { status, stderr } = spawnSync("cc", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`cc: ${stderr}`);
  const rule = path.join(hsm.folder, "rule");
  const log = path.join(hsm.folder, "log");
  const take = (name: string): number[] => {
    const lines = existsSync(log) ? readFileSync(log, "utf8").split("\n") : [];
    rmSync(log, { force: true });
    return lines.flatMap((line) => {
      const [called, pid] = line.split(" ");
      return called === name ? [Number(pid)] : [];
    });
  };
  return {
    modulePath,
    env: { ...hsm.env, FAULT_REAL: hsm.modulePath, FAULT_RULE: rule, FAULT_LOG: log },
    pin: hsm.pin,
    fault: (name, what, times = -1) => writeFileSync(rule, `${name} ${what} ${times}`),
    mend: () => rmSync(rule, { force: true }),
    calls: (name) => take(name).length,
    processes: (name) => [...new Set(take(name))],
  };
}
