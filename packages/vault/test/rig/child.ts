// Does one kind of work until it is killed. Writes a line for each stage reached and each step that was confirmed, to the
// file descriptor 3 that the test gave it, so that the test knows where the kill fell.
import { subscribe } from "node:diagnostics_channel";
import { writeSync } from "node:fs";
import { STAGES } from "../../src/stages.ts";
import { changeDatabase } from "./database-work.ts";
import { moveLoop, otherPlace, placeOf } from "./move.ts";
import {
  acceptOnce,
  anchorLoop,
  changeLoop,
  compromisedLoop,
  fallbackLoop,
  migrateLoop,
  onboardLoop,
  rekeyLoop,
  rotateLoop,
  secretsLoop,
  staleOnce,
} from "./work.ts";

const [work = "", home = "", killAt = ""] = process.argv.slice(2);
const say = (line: string): void => void writeSync(3, `${line}\n`);

/** Of a move, which has the same stages there and back. */
let direction = "";

subscribe(STAGES, (name) => {
  if (name === "move:begun") direction = `>${otherPlace(placeOf(home))}`;
  const stage = `${name}${direction}`;
  say(`stage ${stage}`);
  if (stage === killAt) process.kill(process.pid, "SIGKILL");
});

const loops: Record<string, (home: string, say: (line: string) => void) => Promise<void>> = {
  onboard: onboardLoop,
  secrets: secretsLoop,
  passphrase: changeLoop,
  anchors: anchorLoop,
  rollback: acceptOnce,
  rekey: rekeyLoop,
  compromised: compromisedLoop,
  stale: staleOnce,
  migrate: migrateLoop,
  move: moveLoop,
  fallback: fallbackLoop,
  rotate: rotateLoop,
  "db-migrate": changeDatabase("encrypt"),
  "db-decrypt": changeDatabase("decrypt"),
};
await loops[work]?.(home, say);
