// Does one kind of work until it is killed. Writes a line for each stage reached and each step that was confirmed to the file
// descriptor 3 that the test gave it, so that the test knows where the kill fell.
import { subscribe } from "node:diagnostics_channel";
import { writeSync } from "node:fs";
import { utf8 } from "@lango/crypto-core";
import { createBackup, restoreBackup } from "../../src/index.ts";
import { STAGES } from "../../src/stages.ts";
import { open, unlockWith } from "./vaults.ts";

const [work = "", home = "", file = "", key = "", killAt = "", url] = process.argv.slice(2);
const say = (line: string): void => void writeSync(3, `${line}\n`);

for (const channel of [STAGES, "lango.vault.stage"]) {
  subscribe(channel, (stage) => {
    say(`stage ${stage}`);
    if (stage === killAt) process.kill(process.pid, "SIGKILL");
  });
}

const loops: Record<string, () => Promise<void>> = {
  async restore() {
    for (let step = 0; ; step += 1) {
      const opening = { identities: [key] };
      await restoreBackup({ file, home, opening, unlock: unlockWith(), force: true });
      say(`done ${step}`);
    }
  },
  async backup() {
    const vault = await open(home, undefined, url);
    for (let step = 0; ; step += 1) {
      const to = `${file}-${process.pid}-${step}`;
      await createBackup({ vault, to, sealing: { recipients: [key] }, lango: "1" });
      say(`done ${to}`);
    }
  },
  async write() {
    const vault = await open(home, undefined, url);
    for (let step = 0; ; step += 1) {
      // In this order: a copy with the second has the first.
      await vault.secrets.set(`w/${process.pid}/a`, utf8(`value ${step}`));
      await vault.secrets.set(`w/${process.pid}/b`, utf8(`value ${step}`));
      say(`done ${step}`);
    }
  },
};
await loops[work]?.();
