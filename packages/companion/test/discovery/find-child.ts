// A process that looks for the companion with a fingerprint: `find-child.ts FINGERPRINT TIMEOUT_MS`.
import { findCompanion } from "../../src/discovery/browse.ts";

const [, , fingerprint, timeoutMs] = process.argv;
const isPaired = (pin: string): boolean => pin === fingerprint;
const found = await findCompanion({ isPaired, timeoutMs: Number(timeoutMs) }).catch(
  ({ code, message, retryable, context }) => ({ code, message, retryable, hint: context.hint }),
);
process.stdout.write(`${JSON.stringify(found)}\n`);
