import { bringPython, type PythonProgram, pythonOf } from "./python.ts";
import type { Service } from "./service.ts";

const moto: PythonProgram = { name: "moto", requirements: "tooling/services/python/moto.txt" };

const advice =
  "npm test fetches it from PyPI; it needs Python 3.10 to 3.13 with venv (Debian: apt-get install python3-venv)";

/** Servers that speak AWS KMS; each is run as `python -m …` of its own environment. */
export const awsServices: readonly Service[] = [
  {
    name: "moto",
    provides: "the conformance of AWS KMS on moto",
    programs: [pythonOf(moto)],
    probe: ["-c", "import moto, flask"],
    bring: () => bringPython(moto),
    debian: ["python3-venv"],
    advice,
  },
];
