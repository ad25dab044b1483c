import { aadFaults } from "./faults/aad.ts";
import { encryptFaults } from "./faults/encrypt.ts";
import type { Fault } from "./faults/fault.ts";
import { keysFaults } from "./faults/keys.ts";
import { lifecycleFaults } from "./faults/lifecycle.ts";
import { macFaults } from "./faults/mac.ts";
import { rewrapFaults } from "./faults/rewrap.ts";
import { signFaults } from "./faults/sign.ts";
import { wrapFaults } from "./faults/wrap.ts";

/** One fault for each check, in the order of the checks. */
export const FAULTS: readonly Fault[] = [
  ...encryptFaults,
  ...aadFaults,
  ...wrapFaults,
  ...rewrapFaults,
  ...signFaults,
  ...macFaults,
  ...keysFaults,
  ...lifecycleFaults,
];
