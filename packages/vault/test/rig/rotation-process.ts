// One of many processes on one vault while its data keys are rotated: `rotation-process.ts write|read|rotate HOME NUMBER MS`.
// Prints what it did as JSON. A retryable error is tried again and counted; any other ends this process.
import { isCryptoError, utf8 } from "@lango/crypto-core";
import type { RotationReport } from "./rotation-load.ts";
import { open } from "./work.ts";

const [role = "", home = "", number = "", durationMs = ""] = process.argv.slice(2);
const NAMES = 5;
const WRITERS = 8;

const report: RotationReport = {
  written: {},
  increments: 0,
  conflicts: 0,
  reads: 0,
  rotations: 0,
  retried: {},
};

const retrying = async <T>(run: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!isCryptoError(error) || !error.retryable) throw error;
      report.retried[error.code] = (report.retried[error.code] ?? 0) + 1;
    }
  }
};

const vault = await retrying(() => open(home));
const until = performance.now() + Number(durationMs);
const text = (value: Uint8Array): string => new TextDecoder().decode(value);

/** Adds one to a number that all writers share, by compare-and-set. */
const increment = async (): Promise<void> => {
  const { value, version } = await retrying(() => vault.secrets.get("shared"));
  const next = utf8(String(Number(text(value)) + 1));
  try {
    await retrying(() => vault.secrets.set("shared", next, { ifVersion: version }));
    report.increments += 1;
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_CONFLICT") throw error;
    report.conflicts += 1;
  }
};

const write = async (step: number): Promise<void> => {
  const name = `w${number}/${step % NAMES}`;
  await retrying(() => vault.secrets.set(name, utf8(String(step))));
  report.written[name] = String(step);
  await increment();
};

/** What each name had when it was last read: no write may be undone. */
const seen = new Map<string, number>();
const read = async (step: number): Promise<void> => {
  const name = `w${step % WRITERS}/${Math.floor(step / WRITERS) % NAMES}`;
  try {
    const found = Number(text((await retrying(() => vault.secrets.get(name))).value));
    if (found < (seen.get(name) ?? 0)) throw new Error(`Lost write of ${name}: ${found}`);
    seen.set(name, found);
    report.reads += 1;
  } catch (error) {
    // Not written yet.
    if (!isCryptoError(error) || error.code !== "ERR_NOT_FOUND" || seen.has(name)) throw error;
  }
};

const rotate = async (): Promise<void> => {
  await retrying(async () => {
    const begun = await vault.rotation.status();
    await (begun ? vault.rotation.resume() : vault.rotation.start());
  });
  report.rotations += 1;
};

const roles: Readonly<Record<string, (step: number) => Promise<void>>> = { write, read, rotate };
for (let step = 0; performance.now() < until; step += 1) await roles[role]?.(step);
await vault.close();
process.stdout.write(JSON.stringify(report));
