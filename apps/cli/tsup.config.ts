import { readdirSync } from "node:fs";
import { basename, resolve } from "node:path";
import { defineConfig } from "tsup";

/** What has native code is installed beside the program; so are providers, which are found at run time. */
const NATIVE = [
  "better-sqlite3-multiple-ciphers",
  "better-sqlite3",
  "@node-rs/argon2",
  "@lydell/node-pty",
];

const src = resolve(import.meta.dirname, "src");
const files = (...paths: string[]) => paths.map((path) => resolve(src, path));
const packages = resolve(import.meta.dirname, "../../packages");

/**
 * The files of the program, beside `commands.js`, which holds every command that is not here. They are few and large
 * because finding a file costs more than reading it, and several because start-up should read no more than it uses:
 * `lango` loads in an old Node, `main` knows what commands there are, `security-status` is what scripts poll, and the
 * rest are large and seldom needed. The last one is the program of a thread.
 */
const FILES = files(
  "lango.ts",
  "agent.ts",
  "main.ts",
  "commands/security-status.ts",
  "mcp/session.ts",
  "config/schema.ts",
  "config/get.ts",
  "config/set.ts",
  "config/validate.ts",
  "cli/strength.ts",
  "cli/probe.ts",
  "cli/backup.ts",
  "cli/companion.ts",
  "cli/conformance.ts",
  "pg.ts",
  `${packages}/vault/src/rotation-worker.ts`,
);
const COMMANDS = readdirSync(`${src}/commands`)
  .map((name) => `${src}/commands/${name}`)
  .filter((path) => !FILES.includes(path));

/** Built-ins that take milliseconds to load. Their functions load them when they are called. */
const LATE = /^node:(child_process|crypto|net|tty)$/;

/** How an export of a built-in is read. A function with properties of its own, as `promisify` looks for, is taken as it is. */
const readerOf = (path: string, name: string, value: unknown): string =>
  LATE.test(path) &&
  typeof value === "function" &&
  /^[a-z]/.test(name) &&
  Object.getOwnPropertySymbols(value).length === 0
    ? `(...args) => builtin().${name}(...args)`
    : `/* @__PURE__ */ (() => builtin().${name})()`;

const nameOf = (path: string) => basename(path, ".ts");
const exportOf = (path: string) => nameOf(path).replaceAll("-", "_");

export default defineConfig({
  entry: Object.fromEntries(FILES.map((path) => [nameOf(path), path])),
  format: "esm",
  target: "node24",
  platform: "node",
  splitting: false,
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: false,
  // Declarations and the build info of tsc live in dist too.
  clean: false,
  dts: false,
  removeNodeProtocol: false,
  external: NATIVE,
  noExternal: [new RegExp(`^(?!${NATIVE.join("|")})`)],
  esbuildOptions(options) {
    options.conditions = ["@lango/source"];
    options.entryPoints = {
      ...(options.entryPoints as Record<string, string>),
      commands: "commands",
    };
    options.banner = {
      js: 'const require = (id) => process.getBuiltinModule("node:module").createRequire(import.meta.url)(id);',
    };
  },
  esbuildPlugins: [
    {
      // An ESM import of a built-in reads all its lazy getters (5 to 40 ms each); this reads what is used.
      name: "lazy-builtins",
      setup(build) {
        build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "builtin" }));
        build.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
          contents: [
            `const builtin = () => process.getBuiltinModule("${path}");`,
            "export default /* @__PURE__ */ builtin();",
            ...Object.entries(process.getBuiltinModule(path) as Record<string, unknown>)
              .filter(([name]) => name !== "default")
              .map(([name, value]) => `export const ${name} = ${readerOf(path, name, value)};`),
          ].join("\n"),
        }));
      },
    },
    {
      // The server of MCP brings a validator of JSON Schema, a tenth of a megabyte, that ours is given no work for.
      name: "no-schema-validator",
      setup(build) {
        const filter = /^@modelcontextprotocol\/server\/_shims$/;
        build.onResolve({ filter }, ({ path }) => ({ path, namespace: "shims" }));
        build.onLoad({ filter: /.*/, namespace: "shims" }, () => ({
          contents: [
            "export class DefaultJsonSchemaValidator {}",
            "const { process } = globalThis;",
            "export { process };",
          ].join("\n"),
        }));
      },
    },
    {
      // What is in another file of the program is loaded from there when it is needed, and not before.
      name: "own-files",
      setup(build) {
        // The driver of PostgreSQL is a file of its own: with files alone nothing of it is read.
        build.onResolve({ filter: /^pg$/ }, ({ kind }) =>
          kind === "dynamic-import" ? { path: "./pg.js", external: true } : undefined,
        );
        build.onResolve({ filter: /\.ts$/ }, ({ path, kind, resolveDir, namespace }) => {
          const target = resolve(resolveDir, path);
          if (kind === "entry-point" || namespace === "commands") {
            return undefined;
          }
          if (FILES.includes(target)) {
            const file = `./${nameOf(target)}.js`;
            return kind === "dynamic-import"
              ? { path: file, external: true }
              : { path: file, namespace: "own-file" };
          }
          return COMMANDS.includes(target) ? { path: target, namespace: "command" } : undefined;
        });
        build.onLoad({ filter: /.*/, namespace: "own-file" }, ({ path }) => ({
          contents: `module.exports = require(${JSON.stringify(path)});`,
        }));
        build.onLoad({ filter: /.*/, namespace: "command" }, ({ path }) => ({
          contents: `export const run = async (...args) => (await import("./commands.js")).${exportOf(path)}(...args);`,
        }));
        build.onResolve({ filter: /.*/, namespace: "own-file" }, external);
        build.onResolve({ filter: /.*/, namespace: "command" }, external);
        build.onResolve({ filter: /^commands$/ }, () => ({ path: "all", namespace: "commands" }));
        build.onLoad({ filter: /.*/, namespace: "commands" }, () => ({
          contents: COMMANDS.map(
            (path) => `export { run as ${exportOf(path)} } from "${path}";`,
          ).join("\n"),
          resolveDir: src,
        }));
      },
    },
  ],
});

const external = ({ path }: { path: string }) => ({ path, external: true });
