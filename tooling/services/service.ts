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
  /** Fetches it into .tools from a package registry that has it; rejects with a `SetupError` that says why not. */
  readonly bring?: () => Promise<void>;
  /** Debian packages that bring it, for machines where the runner may install (`LANGO_TEST_INSTALL=1`, root, apt-get). */
  readonly debian: readonly string[];
  /**
   * The subject of `describeProvider` that its server stands for, such as `aws-kms on moto`. Where every service is
   * required, a run without a check of it fails, unless the service is optional.
   */
  readonly conformance?: string;
  /** Whether its absence is no failure where every service is required. Default: false. */
  readonly optional?: boolean;
  /** How a person gets it, and on which machines it cannot be had. */
  readonly advice: string;
}
