import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { hashOf, root, run, SetupError, stamp, timed, toolsFolder } from "../setup/step.mjs";

/** A program in Python that is installed into .tools, apart from every other. */
export interface PythonProgram {
  /** Folder below .tools/python. */
  readonly name: string;
  /** File of pinned requirements, all of them: what pip itself would choose changes from day to day. */
  readonly requirements: string;
}

/** The Python of a program, with its packages; it may not be there yet. */
export function pythonOf({ name }: PythonProgram): string {
  const folder = path.join(toolsFolder, "python", name);
  return process.platform === "win32"
    ? path.join(folder, "Scripts", "python.exe")
    : path.join(folder, "bin", "python");
}

/** Installs the packages with pip into a virtual environment of their own, unless exactly these are there. */
export async function bringPython(program: PythonProgram): Promise<void> {
  const { name, requirements } = program;
  const file = path.join(root, requirements);
  const folder = path.join(toolsFolder, "python", name);
  const mark = stamp(`python-${name}`, hashOf([requirements]));
  if (mark.isDone() && existsSync(pythonOf(program))) return;
  const python = await findPython();
  await timed(`installing ${name} with pip`, async () => {
    // A half-made one, or one of other pins.
    rmSync(folder, { recursive: true, force: true });
    await must(
      [python, "-m", "venv", folder],
      `Python has no venv for ${name}`,
      "Debian: apt-get install python3-venv",
    );
    await must(
      // Pins are complete, so nothing is resolved; wheels only, so nothing is compiled and no package's script runs.
      [
        pythonOf(program),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--requirement",
        file,
      ],
      `pip could not install ${name}`,
      "Check the network and pip's index and proxy settings (pip config list)",
    );
  });
  mark.done();
}

const CANDIDATES = ["python3", "python", "/usr/bin/python3"];

async function findPython(): Promise<string> {
  for (const candidate of CANDIDATES) {
    const code = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))";
    if ((await run(candidate, ["-c", code])).status === 0) return candidate;
  }
  throw new SetupError("no Python 3.11 to 3.13 found", "Debian: apt-get install python3-venv");
}

async function must(
  [program = "", ...args]: string[],
  failure: string,
  hint: string,
): Promise<void> {
  const { status, output } = await run(program, args);
  const lastLine = output.trim().split("\n").at(-1) ?? "";
  if (status !== 0) throw new SetupError(`${failure}: ${lastLine}`, hint, output);
}
