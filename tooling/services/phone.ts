import { bringPython, type PythonProgram, pythonOf } from "./python.ts";
import type { Service } from "./service.ts";

const phone: PythonProgram = { name: "phone", requirements: "tooling/services/python/phone.txt" };

/** What a companion in Python is made of: it was written from docs/companion-protocol.md, and shares no code with ours. */
export const phoneServices: readonly Service[] = [
  {
    name: "phone",
    provides:
      "a companion by other hands (pyOpenSSL and websockets), to which the agent's side is held",
    programs: [pythonOf(phone)],
    probe: ["-c", "import OpenSSL.SSL, cryptography.x509, websockets.client"],
    bring: () => bringPython(phone),
    debian: ["python3-venv"],
    advice:
      "npm test fetches it from PyPI; it needs Python 3.11 to 3.13 with venv (Debian: apt-get install python3-venv)",
  },
];
