#!/usr/bin/env node
// The entry has no static import: an old Node must be able to load it to say what is wrong, and the compile cache
// has to be on before the program is loaded.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < 24 || (major === 24 && minor < 11)) {
  process.stderr.write(`lango needs Node 24.11 or newer; this is ${process.versions.node}\n`);
  process.exit(1);
}

enableCompileCache();
const { main } = await import("./main.ts");
process.exit(await main(process.argv.slice(2)));

/**
 * Keeps compiled code between runs, which halves the start-up time. Node's default folder lies in the shared temporary
 * folder, where another user could plant code; ours is private or there is none.
 */
function enableCompileCache(): void {
  const fs = process.getBuiltinModule("node:fs");
  const base = process.env["XDG_CACHE_HOME"] || `${process.env["HOME"] ?? ""}/.cache`;
  if (!base.startsWith("/")) {
    return;
  }
  const folder = `${base}/lango`;
  try {
    // Not recursive: that never ends where a folder cannot be made although its parent is there, as in /proc.
    for (const path of [base, folder]) {
      if (!fs.existsSync(path)) {
        fs.mkdirSync(path, { mode: 0o700 });
      }
    }
    const { uid, mode } = fs.lstatSync(folder);
    if (uid === process.getuid?.() && (mode & 0o077) === 0) {
      process.getBuiltinModule("node:module").enableCompileCache(folder);
    }
  } catch {
    // A read-only home only costs time.
  }
}

export {};
