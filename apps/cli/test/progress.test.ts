import { describe, expect, test } from "vitest";
import { drawProgress, type ProgressOutput } from "../src/cli/progress.ts";

const drawn = (form: ProgressOutput["form"]) => {
  const written: string[] = [];
  const clock = { now: 0 };
  const progress = drawProgress("sealing", {
    form,
    write: (text) => written.push(text),
    now: () => clock.now,
  });
  return { written, clock, progress };
};

describe("progress", () => {
  test("as a bar shows the share, the count and the time that is left", () => {
    const { written, clock, progress } = drawn("bar");
    progress.update(0, 1000);
    clock.now = 1000;
    progress.update(250, 1000);
    clock.now = 90_000;
    progress.update(300, 1000);
    progress.update(1000, 1000);
    progress.end();
    progress.end();
    expect(written).toEqual([
      `\r\u001b[Ksealing [${"-".repeat(24)}] 0 %, 0 of 1000`,
      `\r\u001b[Ksealing [${"#".repeat(6)}${"-".repeat(18)}] 25 %, 250 of 1000, 3 s left`,
      `\r\u001b[Ksealing [${"#".repeat(7)}${"-".repeat(17)}] 30 %, 300 of 1000, 3 min 30 s left`,
      `\r\u001b[Ksealing [${"#".repeat(24)}] 100 %, 1000 of 1000, 0 s left`,
      "\n",
    ]);
  });

  test("that begins in the middle tells the time by what was done since", () => {
    const { written, clock, progress } = drawn("json");
    progress.update(900, 1000);
    clock.now = 2000;
    progress.update(910, 1000);
    expect(written.map((line) => JSON.parse(line))).toEqual([
      { progress: "sealing", done: 900, total: 1000, secondsLeft: null },
      { progress: "sealing", done: 910, total: 1000, secondsLeft: 18 },
    ]);
  });

  test("is drawn now and then only, and in any case when all is done", () => {
    for (const [form, lines] of [
      ["bar", 12],
      ["json", 3],
    ] as const) {
      const { written, clock, progress } = drawn(form);
      for (let done = 0; done <= 1000; done += 1) {
        clock.now = done * 1.1;
        progress.update(done, 1000);
      }
      expect(written.length, form).toBe(lines);
      expect(written.at(-1)).toContain("1000");
      progress.end();
    }
  });

  test("of nothing is nothing, and nothing comes after the end", () => {
    const { written, progress } = drawn("none");
    progress.update(1, 2);
    progress.end();
    expect(written).toEqual([]);
    const bar = drawn("bar");
    bar.progress.end();
    bar.progress.update(1, 2);
    expect(bar.written).toEqual([]);
    const empty = drawn("bar");
    empty.progress.update(0, 0);
    expect(empty.written[0]).toContain("100 %, 0 of 0");
  });
});
