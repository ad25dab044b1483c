import type { DataKeyInfo } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import { counted, table, when } from "../cli/output.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Destroys the data keys that no value needs any more, and says which are needed. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async ({ dataKeys, rotation }) => {
    if ((await rotation.status()) !== undefined) {
      context.note("A rotation has not ended: the data keys that it replaces are left to it");
    }
    const plan = await dataKeys.retire({ dryRun: true });
    const free = counted(plan.retired.length, "data key");
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, ...plan },
        text: textOf([...plan.retired, ...plan.needed], `would destroy ${free}`),
      };
    }
    if (plan.retired.length > 0) {
      await requireYes(context, `Destroy ${free} that no value needs?`);
    }
    const { retired, needed } = await dataKeys.retire();
    const destroyed = `destroyed ${counted(retired.length, "data key")}`;
    return {
      data: { retired, needed },
      text: textOf(needed, `${destroyed}; still needed: ${needed.length}`),
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
