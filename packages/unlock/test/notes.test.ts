import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { appendNote, MAX_NOTES_BYTES, noteAgentEnd, notesPath } from "../src/index.ts";
import { temporaryFolder } from "./support.ts";

test("notes are whole lines of a private file, also when many write at once", async () => {
  const home = temporaryFolder();
  await Promise.all(Array.from({ length: 50 }, (_, pid) => noteAgentEnd(home, "idle", pid)));
  const lines = readFileSync(notesPath(home), "utf8").trimEnd().split("\n");
  const notes = lines.map((line) => JSON.parse(line));
  expect(new Set(notes.map(({ pid }) => pid)).size).toBe(50);
  for (const note of notes) expect(note).toMatchObject({ agent: "idle", ts: expect.any(Number) });
  expect(statSync(notesPath(home)).mode & 0o777).toBe(0o600);
});

test("a full file takes no more; a link, a folder and a home that is gone take nothing", async () => {
  const home = temporaryFolder();
  const path = notesPath(home);
  const full = "x".repeat(MAX_NOTES_BYTES - 10);
  writeFileSync(path, full);
  await appendNote(path, { a: "more than ten bytes" });
  expect(readFileSync(path, "utf8")).toBe(full);

  const elsewhere = join(home, "elsewhere");
  writeFileSync(elsewhere, "");
  symlinkSync(elsewhere, join(home, "link"));
  await appendNote(join(home, "link"), {});
  expect(readFileSync(elsewhere, "utf8")).toBe("");
  mkdirSync(join(home, "folder"));
  await appendNote(join(home, "folder"), {});

  const gone = join(home, "gone");
  await noteAgentEnd(gone, "gone", 1);
  expect(existsSync(gone)).toBe(false);
});

test("a pipe takes nothing and keeps nobody waiting, whether somebody reads it or not", async () => {
  const path = join(temporaryFolder(), "pipe");
  execFileSync("mkfifo", [path]);
  await appendNote(path, {});
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    await appendNote(path, {});
    expect(readSync(reader, new Uint8Array(64))).toBe(0);
  } finally {
    closeSync(reader);
  }
});
