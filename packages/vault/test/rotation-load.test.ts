import { test } from "vitest";
import { newHome } from "./helpers.ts";
import { rotateUnderLoad } from "./rig/rotation-load.ts";

test(
  "8 processes write and 8 read while the data keys are rotated: nothing is lost",
  {
    timeout: 600_000,
  },
  () => rotateUnderLoad(newHome(), "SQLite"),
);
