import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startStandIn } from "./server.ts";
import { makeCertificate } from "./tls.ts";

// The stand-in as a process of its own: `node main.ts FOLDER PORT TOKEN`. The certificate to trust is FOLDER/ca.pem.
const [folder = ".", port = "0", token = ""] = process.argv.slice(2);
const certificate = makeCertificate();
writeFileSync(join(folder, "ca.pem"), certificate.cert);
const { url } = await startStandIn({ certificate, port: Number(port), token });
console.log(url);
