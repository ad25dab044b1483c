import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Context } from "../cli/context.ts";

/** Where agents keep what was said and what their tools gave them, as far as it is there. */
export function transcriptPaths(env: Context["env"]): string[] {
  const home = homedir();
  const config = env["XDG_CONFIG_HOME"] || join(home, ".config");
  const data = env["XDG_DATA_HOME"] || join(home, ".local/share");
  // The folders that the agents' own documentation and variables name.
  const claude = env["CLAUDE_CONFIG_DIR"] || join(home, ".claude");
  const codex = env["CODEX_HOME"] || join(home, ".codex");
  const applications = join(home, "Library/Application Support");
  return [
    ...["projects", "history.jsonl", "todos", "debug", "shell-snapshots"].map((name) =>
      join(claude, name),
    ),
    ...["sessions", "archived_sessions", "history.jsonl", "log"].map((name) => join(codex, name)),
    // Cursor keeps its chats in databases, whose pages hold the text as it is.
    join(home, ".cursor/projects"),
    join(home, ".cursor/chats"),
    ...[join(config, "Cursor"), join(applications, "Cursor")].flatMap((folder) => [
      join(folder, "User/workspaceStorage"),
      join(folder, "User/globalStorage"),
    ]),
    join(home, ".gemini/tmp"),
    join(data, "opencode"),
  ].filter(existsSync);
}
