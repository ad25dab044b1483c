import { defineConfig } from "tsup";

/** How every library package is built: one ESM file; its declarations come from `tsc -b`. */
export const library = (target: "node22" | "node24") =>
  defineConfig({
    entry: ["src/index.ts"],
    format: "esm",
    target,
    platform: "node",
    sourcemap: true,
    // Declarations and the build info of tsc live in dist too: removing them here would make tsc believe they are there.
    clean: false,
    dts: false,
    removeNodeProtocol: false,
  });
