import { registerHooks } from "node:module";

// Prints the address of every module that is loaded for the package and for an identity that is there.
registerHooks({
  load(url, context, next) {
    console.log(url);
    return next(url, context);
  },
});
const { loadIdentity } = await import("@lango/companion");
await loadIdentity({ folder: process.argv[2] ?? "", name: "x" });
