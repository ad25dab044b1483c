import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import path from "node:path";
import type { Service } from "./service.ts";
import { services } from "./table.ts";

/** Name of the variable through which tests learn of a service: its path, or empty when it is missing. */
export function serviceVariable(name: string): string {
  return `LANGO_SERVICE_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** Path of a usable program for a service, or `undefined`. */
export function findService(service: Service): string | undefined {
  return service.programs
    .flatMap(candidates)
    .find((program) => spawnSync(program, service.probe, { stdio: "ignore" }).status === 0);
}

/** The service of that name; an unknown one is a mistake in the test that asks. */
export function serviceNamed(name: string): Service {
  const service = services.find((entry) => entry.name === name);
  if (service === undefined) throw new Error(`no service "${name}" in tooling/services/table.ts`);
  return service;
}

/** What to tell a person who lacks it. */
export function missingService({ name, advice }: Service): string {
  return `${name}: no usable program found (${advice})`;
}

function candidates(program: string): string[] {
  const folders = path.isAbsolute(program)
    ? [""]
    : (process.env["PATH"] ?? "").split(path.delimiter);
  const suffix = process.platform === "win32" ? ".exe" : "";
  return folders.map((folder) => path.join(folder, program + suffix)).filter(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
