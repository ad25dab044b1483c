import type { DataKeyInfo } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import { counted, table, when } from "../cli/output.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Destroys the data keys that no value needs any more, and says which are needed. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async ({ dataKeys, rotation }) => {
    const orphans = args.flag("orphans");
    if ((await rotation.status()) !== undefined) {
      context.note("A rotation has not ended: the data keys that it replaces are left to it");
    }
    const plan = await dataKeys.retire({ dryRun: true });
    const free = counted(plan.retired.length, "data key");
    const lost = orphans ? plan.orphans : [];
    const lostText = textOfLost(lost);
    for (const name of plan.orphans) {
      context.note(`${name} has lost the row of its secret, and opens only once that is put back`);
    }
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, ...plan },
        text: textOf(
          [...plan.retired, ...plan.needed],
          `would destroy ${free}${lost.length > 0 ? ` and remove ${lostText}` : ""}`,
        ),
      };
    }
    if (lost.length > 0) await requireYes(context, `Remove ${lostText}, for ever?`);
    if (plan.retired.length > 0) {
      await requireYes(context, `Destroy ${free} that no value needs?`);
    }
    const { retired, needed, orphans: removed } = await dataKeys.retire({ orphans });
    const gone = orphans && removed.length > 0 ? `removed ${textOfLost(removed)}; ` : "";
    const destroyed = `${gone}destroyed ${counted(retired.length, "data key")}`;
    return {
      data: { orphans: removed, retired, needed },
      text: textOf(needed, `${destroyed}; still needed: ${needed.length}`),
    };
  });

const textOfLost = (orphans: readonly string[]): string =>
  `${counted(orphans.length, "version")} without a secret`;

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
