import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { bringPython, type PythonProgram, pythonOf } from "./python.ts";
import type { Service } from "./service.ts";

const sqlcipher: PythonProgram = {
  name: "sqlcipher",
  requirements: "tooling/services/python/sqlcipher.txt",
};

/** SQLCipher by its makers, which ours has to fit in both directions. */
export const sqlcipherServices: readonly Service[] = [
  {
    name: "sqlcipher",
    provides: "genuine SQLCipher 4, to which encrypted databases are held (Python with sqlcipher3)",
    programs: [pythonOf(sqlcipher)],
    probe: ["-c", "import sqlcipher3"],
    bring: () => bringPython(sqlcipher),
    debian: ["python3-venv"],
    advice:
      "npm test fetches it from PyPI; it needs Python 3.11 to 3.13 with venv (Debian: apt-get install python3-venv)",
  },
];

const SCRIPT = fileURLToPath(new URL("./python/sqlcipher.py", import.meta.url));

/**
 * Runs a command of `python/sqlcipher.py`.
 *
 * @param program - The path of the service `sqlcipher`.
 * @param key - What `PRAGMA key` takes.
 */
export const runSqlcipher = (program: string, args: readonly string[], key = ""): unknown =>
  JSON.parse(execFileSync(program, [SCRIPT, ...args], { input: key, encoding: "utf8" }));
