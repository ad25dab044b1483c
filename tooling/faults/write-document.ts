// Writes docs/faults.md; a test says when that has to be done.
import { writeFileSync } from "node:fs";
import { faultsDocument } from "./document.ts";

writeFileSync(new URL("../../docs/faults.md", import.meta.url), faultsDocument());
