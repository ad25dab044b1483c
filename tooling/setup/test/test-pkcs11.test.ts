import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, it } from "vitest";
import { root } from "../step.mjs";

it("ends with status 69 and the line for apt where there is no SoftHSM", () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [path.join(root, "tooling/setup/test-pkcs11.ts")],
    {
      encoding: "utf8",
      cwd: root,
      // What `npm test` sets for a service that it did not find.
      env: { ...process.env, LANGO_SERVICE_SOFTHSM2: "" },
    },
  );
  expect(stderr).toContain("sudo apt-get install softhsm2");
  expect(status).toBe(69);
});
