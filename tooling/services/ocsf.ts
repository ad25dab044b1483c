import { bringPython, type PythonProgram, pythonOf } from "./python.ts";
import type { Service } from "./service.ts";

const ocsf: PythonProgram = { name: "ocsf", requirements: "tooling/services/python/ocsf.txt" };

/** The schema of OCSF as its project publishes it, and what makes JSON Schema of it. */
export const ocsfServices: readonly Service[] = [
  {
    name: "ocsf",
    provides: "the published schema of OCSF, against which audit export is checked",
    programs: [pythonOf(ocsf)],
    probe: ["-c", "import ocsf_json_schema"],
    bring: () => bringPython(ocsf),
    debian: ["python3-venv"],
    advice:
      "npm test fetches it from PyPI; it needs Python 3.11 to 3.13 with venv (Debian: apt-get install python3-venv)",
  },
];
