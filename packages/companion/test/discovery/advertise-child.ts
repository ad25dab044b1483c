// A process that announces a companion: `advertise-child.ts NAME PORT FINGERPRINT`, until SIGTERM.
import { once } from "node:events";
import { advertiseCompanion } from "../../src/discovery/advertise.ts";

const [, , name = "", port, fingerprint = ""] = process.argv;
const advertisement = await advertiseCompanion({ name, port: Number(port), fingerprint });
process.stdout.write("announced\n");
await once(process, "SIGTERM");
await advertisement.close();
