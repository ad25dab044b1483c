import { readFileSync } from "node:fs";

/** Versions and SHA-512 of what the bootstrap fetches; `npm view NAME@VERSION dist.integrity` prints a hash. */
export const pins = JSON.parse(readFileSync(new URL("pins.json", import.meta.url), "utf8"));

/** For example `linux-x64`, `linux-x64-musl` or `win32-x64`: the keys of pins.json. */
export const platform = `${process.platform}-${process.arch}${isMusl() ? "-musl" : ""}`;

/** The Nodes that every tool of this repository accepts: 24.11 and later 24s (LTS), and 26 on. */
export function isNodeNewEnough(/** @type {string} */ version) {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return major === 24 ? minor >= 11 : major >= 26;
}

function isMusl() {
  if (process.platform !== "linux") return false;
  // glibc reports its version here; musl has none. Network interfaces are left out because looking them up can hang.
  const report = /** @type {any} */ (process.report);
  report.excludeNetwork = true;
  return !report.getReport().header.glibcVersionRuntime;
}
