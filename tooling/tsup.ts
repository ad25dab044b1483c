import { defineConfig } from "tsup";

/** How every library package is built: one ESM file; its declarations come from `tsc -b`. */
export const library = (target: "node22" | "node24") =>
  defineConfig({
    entry: ["src/index.ts"],
    format: "esm",
    target,
    platform: "node",
    sourcemap: true,
    // Old chunks go. The declarations and build info of tsc stay: it would believe them still there.
    clean: ["!**/*.d.ts", "!**/*.d.ts.map", "!**/*.tsbuildinfo"],
    dts: false,
    removeNodeProtocol: false,
  });
