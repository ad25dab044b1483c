import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { type Measure, Skipped } from "./paired.ts";

// Each group in a module of its own, loaded when it is asked for: `node tooling/bench/run.ts seal startup`. What follows a colon
// is for the group: `rotation:1000000`.
const GROUPS: Readonly<Record<string, (argument?: string) => Promise<Measure[]>>> = {
  seal: async () => (await import("./seal.ts")).measureSeal(),
  vault: async () => (await import("./vault.ts")).measureVault(),
  "store-postgres": async () => (await import("./store-postgres.ts")).measureStorePostgres(),
  moves: async () => (await import("./moves.ts")).measureMoves(),
  "moves-postgres": async () => (await import("./moves.ts")).measureMovesOnServer(),
  signer: async () => (await import("./signer.ts")).measureSigner(),
  scanner: async () => (await import("./scanner.ts")).measureScanner(),
  aws: async () => (await import("./aws.ts")).measureAws(),
  pkcs11: async () => (await import("./pkcs11.ts")).measurePkcs11(),
  run: async () => (await import("./lango-run.ts")).measureRun(),
  rpc: async () => (await import("./rpc.ts")).measureRpc(),
  rotation: async (size) => (await import("./rotation.ts")).measureRotation(size),
  startup: async () => (await import("./startup.ts")).measureStartup(),
};

const format = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

const asked = process.argv.slice(2);
const names = asked.length > 0 ? asked : Object.keys(GROUPS);
const results: Measure[] = [];
const skipped: { group: string; reason: string }[] = [];
for (const name of names) {
  const [groupName = "", argument] = name.split(":");
  const group = GROUPS[groupName];
  if (!group)
    throw new Error(
      `No benchmark group "${groupName}"; there are ${Object.keys(GROUPS).join(", ")}`,
    );
  const measures = await group(argument).catch((error: unknown) => {
    if (!(error instanceof Skipped)) throw error;
    skipped.push({ group: name, reason: error.message });
    console.log(`# ${name} skipped: ${error.message}`);
    return [];
  });
  for (const measure of measures) {
    results.push(measure);
    const verdict = measure.met ? "met" : "missed";
    console.log(
      `${measure.name} ${format(measure.ours)} ${format(measure.theirs)} ${format(measure.ratio)}   # ${measure.unit}, target ${measure.target}: ${verdict}`,
    );
  }
}

// A part of the groups is a look in passing; only a whole run is kept.
if (asked.length === 0) {
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    node: process.version,
    date: new Date().toISOString(),
  };
  writeFileSync(
    new URL("results.json", import.meta.url),
    `${JSON.stringify({ machine, results, ...(skipped.length > 0 && { skipped }) }, null, 2)}\n`,
  );
}
