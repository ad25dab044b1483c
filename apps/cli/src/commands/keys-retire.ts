import type { DataKeyInfo } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import { table, when } from "../cli/output.ts";
import { counted } from "../cli/rotation.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Destroys the data keys that no value needs any more, and says which are needed. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async ({ dataKeys, rotation }) => {
    const before = await dataKeys.list();
    const busy = new Set((await rotation.status())?.dataKeys);
    const free = before.filter(
      ({ id, state, values }) => state === "decrypt-only" && values === 0 && !busy.has(id),
    );
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, wouldRetire: free, dataKeys: before },
        text: textOf(before, `would destroy ${counted(free.length, "data key")}`),
      };
    }
    if (free.length > 0) {
      await requireYes(context, `Destroy ${counted(free.length, "data key")} that no value needs?`);
    }
    const { retired, needed } = await dataKeys.retire();
    return {
      data: { retired, needed },
      text: textOf(
        needed,
        `destroyed ${counted(retired.length, "data key")}; ${needed.length} of the old ones are needed`,
      ),
    };
  });

const textOf = (dataKeys: readonly DataKeyInfo[], line: string): string =>
  [
    ...(dataKeys.length === 0
      ? []
      : [
          table(
            ["DATA KEY", "KEY", "STATE", "CREATED", "VALUES"],
            dataKeys.map(({ id, key, state, createdAt, values }) => [
              id,
              key,
              state,
              when(createdAt),
              `${values}`,
            ]),
          ),
        ]),
    line,
  ].join("\n");
