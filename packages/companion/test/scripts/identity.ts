import { loadIdentity } from "@lango/companion";

const { fingerprint, notAfter } = await loadIdentity({ folder: process.argv[2] ?? "", name: "x" });
console.log(fingerprint, notAfter);
