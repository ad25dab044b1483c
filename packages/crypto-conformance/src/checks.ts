import { aadChecks } from "./checks/aad.ts";
import { encryptChecks } from "./checks/encrypt.ts";
import { keyChecks } from "./checks/keys.ts";
import { closeChecks, lifecycleChecks } from "./checks/lifecycle.ts";
import { macChecks } from "./checks/mac.ts";
import { rewrapChecks } from "./checks/rewrap.ts";
import { signChecks } from "./checks/sign.ts";
import { wrapChecks } from "./checks/wrap.ts";
import type { Check } from "./harness.ts";

/** Every check, in the order in which they run: the last ones close the provider. */
export const CHECKS: readonly Check[] = [
  ...encryptChecks,
  ...aadChecks,
  ...wrapChecks,
  ...rewrapChecks,
  ...signChecks,
  ...macChecks,
  ...keyChecks,
  ...lifecycleChecks,
  ...closeChecks,
];
