import { Console } from "node:console";
import type { Guard } from "@lango/guard";
import { writeAll } from "../cli/output.ts";

/**
 * Sends what anything in this process prints to stderr, masked: stdout belongs to the protocol. What is not caught anywhere is told
 * there too, and ends the process.
 *
 * @returns Writes a line.
 */
export function takeOverConsole(guard: Guard): (line: string) => void {
  const log = guard.log((masked) => writeAll(2, masked));
  Object.assign(console, new Console(log));
  const end = (error: unknown): void => {
    writeAll(2, `${guard.mask(error instanceof Error ? `${error.stack}` : String(error))}\n`);
    process.exit(1);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
  return (line) => void log.write(`${line}\n`);
}
