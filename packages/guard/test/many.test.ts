import { execFile } from "node:child_process";
import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { createScanner } from "../src/index.ts";

it("10,000 secrets in all forms take at most 64 MiB, and none of a sample gets through", {
  timeout: 120_000,
}, async () => {
  const script = fileURLToPath(new URL("fixtures/many-secrets.ts", import.meta.url));
  const options = ["--expose-gc", "--conditions=@lango/source", "--experimental-strip-types"];
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...options,
    "--no-warnings",
    script,
  ]);
  const result = JSON.parse(stdout) as { mebibytes: number; samples: number; missed: string[] };
  expect(result.missed).toEqual([]);
  expect(result.samples).toBe(300);
  expect(result.mebibytes).toBeLessThan(64);
});

it("1,000 keys with one prefix are told apart in text that is full of it", async () => {
  const keys = Array.from({ length: 1000 }, (_, i) => ({
    name: `k${i}`,
    value: Buffer.from(`sk-proj-${String(i * 7919).padStart(8, "0")}abcdefgh`),
  }));
  using scanner = await createScanner({ secrets: keys });
  const expected: string[] = [];
  const text: string[] = [];
  for (let i = 0; i < 2000; i++) {
    const key = keys[randomInt(keys.length)]!;
    text.push("sk-proj-".repeat(randomInt(4)), key.value.toString());
    expected.push(text.at(-2)!, `[SECRET:${key.name}]`);
  }
  const { output } = scanner.scan(Buffer.from(text.join("")));
  expect(Buffer.from(output).toString() === expected.join("")).toBe(true);
});
