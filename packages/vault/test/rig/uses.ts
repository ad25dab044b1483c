// Uses a grant and a handle of a vault as often as it was told. Prints how often each worked.
import { isCryptoError } from "@lango/crypto-core";
import { ACTION, BOX, open } from "./work.ts";

const [home = "", handle = "", attempts = "0"] = process.argv.slice(2);
const vault = await open(home);
const used = { grants: 0, handles: 0 };
for (let attempt = 0; attempt < Number(attempts); attempt += 1) {
  if (await vault.approvals.grants.match({ action: ACTION, dangerous: true })) used.grants += 1;
  try {
    await vault.approvals.handles.consume(handle, BOX);
    used.handles += 1;
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_DENIED") throw error;
  }
}
await vault.close();
process.stdout.write(JSON.stringify(used));
