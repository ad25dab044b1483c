export { CHECKS } from "./checks.ts";
export type { Check, CheckContext, Harness, HarnessKeys, Need } from "./harness.ts";
export type { Openssl } from "./openssl.ts";
export { type CheckReport, type CheckResult, type RunChecksOptions, runChecks } from "./run.ts";
