// Opens a vault, then prints every module that reading a secret asks for, and the code of the error.
import { registerHooks } from "node:module";
import { isCryptoError } from "@lango/crypto-core";
import { openVault } from "../../src/index.ts";
import { unlockWith } from "./work.ts";

const [home = ""] = process.argv.slice(2);
const vault = await openVault({ home, unlock: unlockWith("correct horse battery") });

registerHooks({
  resolve(specifier, context, next) {
    process.stdout.write(`import ${specifier}\n`);
    return next(specifier, context);
  },
});
try {
  await vault.secrets.get("a");
} catch (error) {
  process.stdout.write(`${isCryptoError(error) ? error.code : error}\n`);
}
await vault.close();
