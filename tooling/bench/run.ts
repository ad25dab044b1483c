import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import type { Measure } from "./paired.ts";

// Each group in a module of its own, loaded when it is asked for: `node tooling/bench/run.ts seal startup`.
const GROUPS: Readonly<Record<string, () => Promise<Measure[]>>> = {
  seal: async () => (await import("./seal.ts")).measureSeal(),
  vault: async () => (await import("./vault.ts")).measureVault(),
  scanner: async () => (await import("./scanner.ts")).measureScanner(),
  startup: async () => (await import("./startup.ts")).measureStartup(),
};

const format = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

const asked = process.argv.slice(2);
const names = asked.length > 0 ? asked : Object.keys(GROUPS);
const results: Measure[] = [];
for (const name of names) {
  const group = GROUPS[name];
  if (!group)
    throw new Error(`No benchmark group "${name}"; there are ${Object.keys(GROUPS).join(", ")}`);
  for (const measure of await group()) {
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
    `${JSON.stringify({ machine, results }, null, 2)}\n`,
  );
}
