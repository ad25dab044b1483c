import { bringPython, type PythonProgram, pythonOf } from "./python.ts";
import type { Service } from "./service.ts";

const moto: PythonProgram = { name: "moto", requirements: "tooling/services/python/moto.txt" };
const localstack: PythonProgram = {
  name: "localstack",
  requirements: "tooling/services/python/localstack.txt",
};

const advice =
  "npm test fetches it from PyPI; it needs Python 3.11 to 3.13 with venv (Debian: apt-get install python3-venv)";

/** Servers that speak AWS KMS; each is a module of an environment of its own. */
export const awsServices: readonly Service[] = [
  {
    name: "moto",
    provides: "the conformance of AWS KMS on moto",
    programs: [pythonOf(moto)],
    probe: ["-c", "import moto, flask"],
    bring: () => bringPython(moto),
    debian: ["python3-venv"],
    conformance: "aws-kms on moto",
    advice,
  },
  {
    name: "localstack",
    provides: "the conformance of AWS KMS on localstack, which is right where moto is wrong",
    programs: [pythonOf(localstack)],
    probe: ["-c", "import localstack.services, twisted"],
    bring: () => bringPython(localstack),
    debian: ["python3-venv"],
    conformance: "aws-kms on localstack",
    advice,
  },
];
