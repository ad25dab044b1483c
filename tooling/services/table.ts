import { bringNode22, node22Program } from "../setup/tools.mjs";

/** A program beside Node 24 that some tests need. */
export interface Service {
  /** Tests ask for it by this name; the runner passes its path in `LANGO_SERVICE_<NAME>`. */
  readonly name: string;
  /** What the tests lose without it. */
  readonly provides: string;
  /** Programs to look for, on PATH or absolute; the first that passes `probe` is taken. */
  readonly programs: readonly string[];
  /** Arguments with which the program ends with status 0 when it is usable. */
  readonly probe: readonly string[];
  /** Fetches it with npm into .tools, where npm has it; rejects with a `SetupError` that says why not. */
  readonly bring?: () => Promise<void>;
  /** Debian packages that bring it, for machines where the runner may install (`LANGO_TEST_INSTALL=1`, root, apt-get). */
  readonly debian: readonly string[];
  /** How a person gets it, and on which machines it cannot be had. */
  readonly advice: string;
}

/** Only what a test really uses. Servers, when they come, get a `start` here. */
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
];
