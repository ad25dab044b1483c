import { existsSync } from "node:fs";
import path from "node:path";
import { root } from "../setup/step.mjs";
import type { Service } from "./service.ts";

const pkcs11js = path.join(root, "packages/crypto-pkcs11/node_modules/pkcs11js");

/** Where systems keep the libraries. */
const MODULES = {
  softhsm2: [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
  ],
  nss: [
    "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
    "/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
    "/usr/lib64/libsoftokn3.so",
    "/opt/homebrew/lib/libsoftokn3.dylib",
    "/usr/local/lib/libsoftokn3.dylib",
  ],
} as const;

/** The PKCS#11 library of a service that is there. */
export function pkcs11Module(name: keyof typeof MODULES): string {
  const found = MODULES[name].find((file) => existsSync(file));
  if (found === undefined) throw new Error(`${name} has none of ${MODULES[name].join(", ")}`);
  return found;
}

const findsOne = '(files => files.some(file => require("node:fs").existsSync(file)))';

export const pkcs11Services: readonly Service[] = [
  {
    name: "pkcs11js",
    provides: "every test of the PKCS#11 provider on a token",
    programs: [process.execPath],
    probe: ["-e", `require(${JSON.stringify(pkcs11js)})`],
    debian: ["g++", "make", "python3"],
    advice:
      "`npm run build` compiles it where there are Python 3, make and a C++ compiler; Debian: apt-get install g++ make python3",
  },
  {
    name: "softhsm2",
    provides: "the tests of the PKCS#11 provider on SoftHSM",
    programs: ["softhsm2-util"],
    probe: ["--version"],
    debian: ["softhsm2"],
    conformance: "pkcs11 on softhsm",
    advice:
      "Debian: apt-get install softhsm2; Fedora: dnf install softhsm; macOS: brew install softhsm; not on Windows",
  },
  {
    name: "nss",
    provides: "the tests of the PKCS#11 provider on a second token, NSS softokn",
    // It is a library alone: a program that finds it stands for it.
    programs: [process.execPath],
    probe: ["-e", `process.exitCode = ${findsOne}(${JSON.stringify(MODULES.nss)}) ? 0 : 1`],
    debian: ["libnss3"],
    conformance: "pkcs11 on nss",
    advice: "Debian: apt-get install libnss3; Fedora: dnf install nss; macOS: brew install nss",
  },
];
