import { library } from "../../tooling/tsup.ts";

// The child process runs a file of its own.
export default { ...library("node22"), entry: ["src/index.ts", "src/child.ts"] };
