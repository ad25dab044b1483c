import { bringNode22, node22Program } from "../setup/tools.mjs";
import { awsServices } from "./aws.ts";
import { cloudServices } from "./cloud.ts";
import { keyringServices } from "./keyring.ts";
import { networkServices } from "./network.ts";
import { ocsfServices } from "./ocsf.ts";
import { phoneServices } from "./phone.ts";
import { pkcs11Services } from "./pkcs11.ts";
import { presidioServices } from "./presidio.ts";
import type { Service } from "./service.ts";
import { sqlcipherServices } from "./sqlcipher.ts";
import { terminalServices } from "./terminal.ts";

/** Only what a test really uses. A server is started by the test that needs it; see server.ts. */
export const services: readonly Service[] = [
  {
    name: "openssl",
    provides: "an independent check of signatures and key encodings",
    programs: ["openssl"],
    // OpenSSL 3; LibreSSL and older ones do not know the option.
    probe: ["list", "-providers"],
    debian: ["openssl"],
    advice:
      "Debian: apt-get install openssl; macOS: brew install openssl; Windows: it comes with Git",
  },
  {
    name: "python3",
    provides: "an independent reader of the byte formats (Python with `cryptography`)",
    programs: ["python3", "/usr/bin/python3", "python"],
    probe: ["-c", "import cryptography.hazmat.primitives.ciphers.aead"],
    debian: ["python3", "python3-cryptography"],
    advice: "Debian: apt-get install python3-cryptography; elsewhere: pip install cryptography",
  },
  {
    name: "node22",
    provides: "the tests of the packages for embedding on Node 22",
    programs: [node22Program()],
    probe: ["-e", "process.exitCode = process.versions.node.startsWith('22.') ? 0 : 1"],
    bring: bringNode22,
    debian: [],
    advice:
      "npm test fetches it on Linux with glibc and on Windows x64; elsewhere it cannot be had",
  },
  {
    name: "age",
    provides: "the tool that opens backups, and that makes what a restore reads",
    programs: ["age"],
    probe: ["--version"],
    debian: ["age"],
    advice: "Debian: apt-get install age; macOS: brew install age",
  },
  ...awsServices,
  ...cloudServices,
  ...keyringServices,
  ...networkServices,
  ...ocsfServices,
  ...phoneServices,
  ...pkcs11Services,
  ...presidioServices,
  ...sqlcipherServices,
  ...terminalServices,
];
