import type { Handler } from "../cli/command.ts";
import { table } from "../cli/output.ts";

/** Shows every setting. */
export const run: Handler = async ({ home }) => {
  const { listSettings } = await import("../config/get.ts");
  const settings = await listSettings(home);
  return {
    data: { settings },
    text: table(
      ["SETTING", "VALUE", "", "MEANING"],
      settings.map(({ path, value, isDefault, description }) => [
        path,
        JSON.stringify(value),
        isDefault ? "" : "set",
        description,
      ]),
    ),
  };
};
