import type { Handler } from "../cli/command.ts";

/** Changes one setting in config.json. */
export const run: Handler = async ({ home }, args) => {
  const { getSetting, requireSetting } = await import("../config/get.ts");
  const { setSetting } = await import("../config/set.ts");
  const key = args.positional("KEY");
  requireSetting(key);
  const dryRun = args.flag("dry-run");
  await setSetting(home, key, args.positional("VALUE"), { dryRun });
  if (dryRun) {
    return { data: { key, dryRun }, text: `would set ${key}` };
  }
  // Read again, because a token is not shown.
  return { data: { key, value: await getSetting(home, key) }, text: `set ${key}` };
};
