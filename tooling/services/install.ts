import { spawnSync } from "node:child_process";
import { findService } from "./find.ts";
import { services } from "./table.ts";

/** Installs the Debian packages of the services that are missing, where that was asked for and is possible. */
export function installMissing(): void {
  if (process.env["LANGO_TEST_INSTALL"] !== "1" || process.getuid?.() !== 0) return;
  const missing = services.filter((service) => findService(service) === undefined);
  if (missing.length === 0) return;
  const packages = missing.flatMap((service) => service.debian);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  // What cannot be installed is named with the other missing services at the end of the run.
  spawnSync("apt-get", ["update", "--quiet"], { stdio: "inherit", env });
  spawnSync("apt-get", ["install", "--yes", "--no-install-recommends", ...packages], {
    stdio: "inherit",
    env,
  });
}
