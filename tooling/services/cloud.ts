import { bringPython, type PythonProgram, pythonOf } from "./python.ts";
import type { Service } from "./service.ts";

const clients: PythonProgram = {
  name: "cloud-clients",
  requirements: "tooling/services/python/cloud-clients.txt",
};

/** Clients of Google Cloud KMS and Azure Key Vault that others wrote, for tests against our own stand-ins of both. */
export const cloudServices: readonly Service[] = [
  {
    name: "cloud-clients",
    provides:
      "Google's and Microsoft's own Python clients, and Tink, against the stand-ins of Cloud KMS and Key Vault",
    programs: [pythonOf(clients)],
    probe: ["-c", "import azure.identity, azure.keyvault.keys, google.cloud.kms, tink"],
    bring: () => bringPython(clients),
    debian: ["python3-venv"],
    advice:
      "npm test fetches them from PyPI; they need Python 3.11 to 3.13 with venv (Debian: apt-get install python3-venv)",
  },
];
