import { defineConfig } from "tsup";

/** Native code and what has it stays outside, as do providers, which the user installs. */
const EXTERNAL = ["better-sqlite3-multiple-ciphers", "better-sqlite3", "@node-rs/argon2"];

export default defineConfig({
  entry: ["src/lango.ts"],
  format: "esm",
  target: "node24",
  platform: "node",
  // Each command is a chunk of its own: start-up reads only what the command uses.
  splitting: true,
  minifySyntax: true,
  sourcemap: false,
  clean: false,
  dts: false,
  removeNodeProtocol: false,
  external: EXTERNAL,
  noExternal: [/.*/],
  esbuildOptions(options) {
    options.conditions = ["@lango/source"];
  },
  esbuildPlugins: [
    {
      // An ESM import of a built-in reads all its lazy getters (5 to 40 ms each); this reads what is used.
      name: "lazy-builtins",
      setup(build) {
        build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "builtin" }));
        build.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
          contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
        }));
      },
    },
  ],
});
