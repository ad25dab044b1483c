import { onTestFinished, test, vi } from "vitest";
import { newDatabaseUrl } from "../../../tooling/vitest/postgres.ts";
import { newHome } from "./helpers.ts";
import { rotateUnderLoad } from "./rig/rotation-load.ts";
import { URL_VARIABLE } from "./rig/work.ts";

const SUBJECT = "8 processes write and 8 read while the data keys are rotated: nothing is lost";

test(SUBJECT, { timeout: 600_000 }, () => rotateUnderLoad(newHome(), "SQLite"));

test(`${SUBJECT}, in PostgreSQL`, { timeout: 600_000 }, async () => {
  vi.stubEnv(URL_VARIABLE, await newDatabaseUrl());
  onTestFinished(() => void vi.unstubAllEnvs());
  await rotateUnderLoad(newHome(), "PostgreSQL");
});
