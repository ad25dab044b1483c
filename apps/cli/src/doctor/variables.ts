import { findVariableFaults } from "@lango/unlock";
import { variableFaults } from "../cli/check-variables.ts";
import type { Handler } from "../cli/command.ts";
import { loadConfig } from "../config/load.ts";

/** Looks at every variable that holds a key or a token, used or not, and names all that is wrong. */
export const run: Handler = async ({ home, env }) => {
  const { gateway } = await loadConfig(home);
  const faults = await findVariableFaults({ env, gatewayToken: gateway.auth.token });
  if (faults.length > 0) throw variableFaults(faults);
  return { data: { faults }, text: "Every key and token that is set is sound" };
};
