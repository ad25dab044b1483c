// A process that looks for companions: one event a line, until it is killed.
import { browseCompanions } from "../../src/discovery/browse.ts";

for await (const event of browseCompanions()) process.stdout.write(`${JSON.stringify(event)}\n`);
