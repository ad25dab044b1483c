// One of several processes that write and read the same vault. Prints what it did as JSON.
import { isCryptoError, utf8 } from "@lango/crypto-core";
import { openVault } from "../../src/index.ts";
import { passphraseOf, place, remotes, unlockWith } from "./work.ts";

const [home = "", number = "", durationMs = ""] = process.argv.slice(2);
const unlock = unlockWith(passphraseOf(0));
const vault = await openVault({
  ...place(home),
  unlock,
  providers: remotes(),
  audit: { anchor: "local:log" },
});
const until = performance.now() + Number(durationMs);
const written: Record<string, string> = {};
const report = { written, reads: 0, increments: 0, conflicts: 0, retried: 0 };

/** A retryable error is no fault of the vault: the caller tries again. Anything else ends this process. */
const retrying = async <T>(run: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!isCryptoError(error) || !error.retryable) throw error;
      report.retried += 1;
    }
  }
};

/** Adds one to a number that all processes share, by compare-and-set. */
const increment = async (): Promise<void> => {
  const { value, version } = await retrying(() => vault.secrets.get("shared"));
  const next = String(Number(new TextDecoder().decode(value)) + 1);
  try {
    await retrying(() => vault.secrets.set("shared", utf8(next), { ifVersion: version }));
    report.increments += 1;
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_CONFLICT") throw error;
    report.conflicts += 1;
  }
};

for (let step = 0; performance.now() < until; step += 1) {
  const name = `p${number}/${step % 5}`;
  const value = `${number} wrote ${step}`;
  await retrying(() => vault.secrets.set(name, utf8(value)));
  written[name] = value;
  const reads = await Promise.all(
    Object.keys(written).map((each) => retrying(() => vault.secrets.get(each))),
  );
  for (const { name: read, value: found } of reads) {
    if (new TextDecoder().decode(found) !== written[read]) throw new Error(`Lost write of ${read}`);
  }
  report.reads += reads.length;
  await increment();
}
await vault.close();
process.stdout.write(JSON.stringify(report));
