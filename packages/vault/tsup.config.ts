import { library } from "../../tooling/tsup.ts";

// The thread of a rotation runs a file of its own.
export default { ...library("node24"), entry: ["src/index.ts", "src/rotation-worker.ts"] };
