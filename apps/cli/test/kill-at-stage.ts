// Loaded before lango: kills the process at the N-th time that it reaches a stage, "N STAGE" in LANGO_TEST_KILL.
import { subscribe } from "node:diagnostics_channel";

const [count = "0", ...stage] = (process.env["LANGO_TEST_KILL"] ?? "").split(" ");
let left = Number(count);

for (const channel of ["lango.compat.stage", "lango.vault.stage"]) {
  subscribe(channel, (name) => {
    if (name !== stage.join(" ")) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, "SIGKILL");
  });
}
