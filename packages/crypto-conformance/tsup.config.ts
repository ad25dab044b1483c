import { library } from "../../tooling/tsup.ts";

export default { ...library("node22"), entry: ["src/index.ts", "src/vectors.ts", "src/vitest.ts"] };
