import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CircuitState } from "@lango/crypto-core";
import { replaceFile } from "@lango/envelope";
import { makeFolder } from "@lango/vault";

/** What the last command that used a provider saw of it. */
export interface ProviderRecord {
  /** What was asked; a report of another region or module says nothing. See `targetOf`. */
  readonly target: string;
  readonly healthy: boolean;
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
  readonly latencyMs: number;
  /** Why it was not healthy. */
  readonly reason?: string | undefined;
  /** Of a PKCS#11 module: which token, and how it was found. */
  readonly token?: string | undefined;
  /** Of the breaker of that command, which ended with it. */
  readonly circuit: CircuitState;
}

/** Nobody trusts this file: it is shown, and saves a question to the service within 30 seconds. */
const recordPath = (home: string): string => join(home, "run", "provider-health.json");

const MAX_RECORDS = 8;
const MAX_REASON_LENGTH = 300;

/** What is known of a provider as it is configured now; `undefined` for nothing. */
export const readRecord = (home: string, target: string): ProviderRecord | undefined =>
  readAll(home).find((record) => record.target === target);

/**
 * Keeps what was seen. Writing it is no part of the command: where it cannot be written, nothing is said. A home without
 * a vault gets no file.
 */
export async function writeRecord(home: string, record: ProviderRecord): Promise<void> {
  if (!["keyslots.json", "pins.json"].some((name) => existsSync(join(home, name)))) return;
  const reason = record.reason?.slice(0, MAX_REASON_LENGTH).toWellFormed();
  const others = readAll(home).filter(({ target }) => target !== record.target);
  const providers = [{ ...record, reason }, ...others].slice(0, MAX_RECORDS);
  try {
    makeFolder(join(home, "run"));
    await replaceFile(recordPath(home), async (file) => {
      await file.writeFile(`${JSON.stringify({ schemaVersion: 1, providers })}\n`);
    });
  } catch {}
}

function readAll(home: string): ProviderRecord[] {
  try {
    const { providers } = JSON.parse(readFileSync(recordPath(home), "utf8"));
    return Array.isArray(providers) ? providers.slice(0, MAX_RECORDS).filter(isRecord) : [];
  } catch {
    return [];
  }
}

const CIRCUITS: readonly unknown[] = ["closed", "open", "half-open"] satisfies CircuitState[];

const isRecord = (value: Partial<Record<keyof ProviderRecord, unknown>> | null): boolean =>
  typeof value?.target === "string" &&
  typeof value.healthy === "boolean" &&
  Number.isSafeInteger(value.checkedAt) &&
  typeof value.latencyMs === "number" &&
  ["undefined", "string"].includes(typeof value.reason) &&
  ["undefined", "string"].includes(typeof value.token) &&
  CIRCUITS.includes(value.circuit);
