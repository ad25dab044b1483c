import { fileURLToPath } from "node:url";

/** The program of the unlock agent: beside this file among the sources, beside every other file of the program in `dist`. */
export const agentFile = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith(".ts") ? "agent.ts" : "agent.js", import.meta.url),
  );
