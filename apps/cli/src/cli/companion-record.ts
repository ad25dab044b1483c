import { readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "@lango/envelope";
import { makeFolder } from "@lango/vault";

/** When a paired device was last heard of, and whether a process of this home has a connection with it. */
export interface CompanionRecord {
  /** Milliseconds since the epoch. */
  readonly seenAt: number;
  /** Of the process that has the connection. */
  readonly pid?: number | undefined;
}

/** Nobody trusts this file: it is shown, and nothing else. */
const recordPath = (home: string): string => join(home, "run", "companions.json");

/** By the id of the device. */
export function readCompanionRecords(home: string): ReadonlyMap<string, CompanionRecord> {
  try {
    const { devices } = JSON.parse(readFileSync(recordPath(home), "utf8"));
    const entries = Object.entries(devices as Record<string, Partial<CompanionRecord> | null>);
    return new Map(
      entries.flatMap(([id, record]) => {
        const { seenAt, pid } = record ?? {};
        if (!Number.isSafeInteger(seenAt)) return [];
        return [[id, { seenAt: seenAt!, ...(isRunning(pid) && { pid }) }] as const];
      }),
    );
  } catch {
    return new Map();
  }
}

/** Notes that a device is connected, or was until now. Where it cannot be written, nothing is said. */
export async function noteCompanion(home: string, id: string, connected: boolean): Promise<void> {
  const record = { seenAt: Date.now(), ...(connected && { pid: process.pid }) };
  const devices = Object.fromEntries([...readCompanionRecords(home), [id, record]].slice(-MAX));
  try {
    makeFolder(join(home, "run"));
    await replaceFile(recordPath(home), async (file) => {
      await file.writeFile(`${JSON.stringify({ schemaVersion: 1, devices })}\n`);
    });
  } catch {}
}

const MAX = 256;

function isRunning(pid: unknown): pid is number {
  if (!Number.isSafeInteger(pid) || Number(pid) <= 0) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}
