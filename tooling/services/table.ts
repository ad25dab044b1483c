/** A program beside Node that some tests need. */
export interface Service {
  /** Tests ask for it by this name; the runner passes its path in `LANGO_SERVICE_<NAME>`. */
  readonly name: string;
  /** What the tests lose without it. */
  readonly provides: string;
  /** Programs to look for, on PATH or absolute; the first that passes `probe` is taken. */
  readonly programs: readonly string[];
  /** Arguments with which the program ends with status 0 when it is usable. */
  readonly probe: readonly string[];
  /** Debian packages that bring it, for machines where the runner may install (`LANGO_TEST_INSTALL=1`, root, apt-get). */
  readonly debian: readonly string[];
  /** How to get it elsewhere. */
  readonly elsewhere: string;
}

/** Only what a test really uses. Servers, when they come, get a `start` here. */
export const services: readonly Service[] = [
  {
    name: "openssl",
    provides: "an independent check of signatures and key encodings",
    programs: ["openssl"],
    probe: ["version"],
    debian: ["openssl"],
    elsewhere: "macOS: brew install openssl; Windows: it comes with Git",
  },
  {
    name: "python3",
    provides: "an independent reader of the byte formats (Python with `cryptography`)",
    programs: ["python3", "/usr/bin/python3", "python"],
    probe: ["-c", "import cryptography.hazmat.primitives.ciphers.aead"],
    debian: ["python3", "python3-cryptography"],
    elsewhere: "pip install cryptography",
  },
];
