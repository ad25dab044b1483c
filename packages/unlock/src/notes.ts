import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { AgentEnd } from "./agent/server.ts";

// Who has no vault key cannot write into the log. What happens then is noted in a small file of the home, whose lines the next
// opening takes into the log, marked as what any process of this user could have written.

/** Largest file of notes, in bytes; one that is full takes no more. */
export const MAX_NOTES_BYTES: number = 64 * 1024;

/** Where the notes of a home are. */
export const notesPath = (home: string): string => join(home, "unlock-failures.jsonl");

/** Notes the end of an agent. Never rejects: a home that is gone, or a full disk, keeps no agent alive. */
export const noteAgentEnd = (home: string, agent: AgentEnd, pid: number): Promise<void> =>
  appendNote(notesPath(home), { agent, pid, ts: Date.now() });

/** Appends a line to a file of notes. Never rejects. */
export async function appendNote(path: string, note: object): Promise<void> {
  const line = `${JSON.stringify(note)}\n`;
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
  try {
    const flags = O_APPEND | O_CREAT | O_WRONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0);
    const file = await open(path, flags, 0o600);
    try {
      const stat = await file.stat();
      // One write of a whole line: with O_APPEND lines of two processes do not mix.
      if (stat.isFile() && stat.size + line.length <= MAX_NOTES_BYTES) await file.write(line);
    } finally {
      await file.close();
    }
  } catch {
    // A full disk or a folder without write access hides nothing else that is told.
  }
}
