import type { Service } from "./service.ts";

export const pkcs11Services: readonly Service[] = [
  {
    name: "softhsm2",
    provides: "the tests of the PKCS#11 provider on SoftHSM",
    programs: ["softhsm2-util"],
    probe: ["--version"],
    debian: ["softhsm2"],
    advice:
      "Debian: apt-get install softhsm2; Fedora: dnf install softhsm; macOS: brew install softhsm; not on Windows",
  },
];
