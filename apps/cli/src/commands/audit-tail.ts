import type { Handler } from "../cli/command.ts";
import { table, when } from "../cli/output.ts";
import { withRows } from "../cli/reader.ts";

/** Shows the newest events, oldest first. */
export const run: Handler = (context, args) =>
  withRows(context, args, async (vault) => {
    const events = await vault.audit.tail(args.number("lines") ?? 50);
    return {
      data: { events },
      text: table(
        ["SEQ", "TIME", "WHO", "ACTION", "TARGET", "OUTCOME"],
        events.map(({ seq, ts, actor, action, target, version, outcome, code }) => [
          `${seq}`,
          when(ts),
          `${actor.kind} (${actor.source})`,
          action,
          `${target ?? "-"}${version === undefined ? "" : `@${version}`}`,
          code ?? outcome,
        ]),
      ),
    };
  });
