import { fileURLToPath } from "node:url";
import { bringPython, type PythonProgram, pythonOf } from "./python.ts";
import { type Server, startServer } from "./server.ts";
import type { Service } from "./service.ts";

const presidio: PythonProgram = {
  name: "presidio",
  requirements: "tooling/services/python/presidio.txt",
};

export const presidioServices: readonly Service[] = [
  {
    name: "presidio",
    provides: "Microsoft's Presidio analyzer, to which the detector of personal data is held",
    programs: [pythonOf(presidio)],
    probe: ["-c", "import presidio_analyzer"],
    bring: () => bringPython(presidio),
    debian: ["python3-venv"],
    advice:
      "npm test fetches it from PyPI; it needs Python 3.11 to 3.13 with venv (Debian: apt-get install python3-venv)",
  },
];

/** @param program - The path of the service `presidio`. */
export const startPresidio = (program: string): Promise<Server> => {
  const script = fileURLToPath(new URL("python/presidio.py", import.meta.url));
  return startServer({ program, args: (port) => ["-B", script, `${port}`] });
};
