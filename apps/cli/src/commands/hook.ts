import { isCryptoError } from "@lango/crypto-core";
import type { Scanner } from "@lango/guard";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler, Result } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { MAX_BUFFERED_BYTES, readInput } from "../cli/files.ts";
import { writeAll } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";
import { AGENTS, type Agent, type AgentName, type Task } from "../hooks/agents.ts";
import { type JsonObject, parseEvent, text } from "../hooks/event.ts";
import { maskJson } from "../hooks/mask-json.ts";
import { touchesVault } from "../hooks/vault-files.ts";
import { loadScanner } from "../scan/load-scanner.ts";

/** Prints the configuration by which an agent calls this command, and answers its calls with `--respond`. */
export const run: Handler = async (context, args) => {
  const name = args.positional("AGENT");
  const agent = Object.hasOwn(AGENTS, name) ? AGENTS[name as AgentName] : undefined;
  if (agent === undefined) {
    throw usageError(
      `There are no hooks for ${name}`,
      `Known are ${Object.keys(AGENTS).join(", ")}`,
    );
  }
  if (!args.flag("respond")) {
    const configuration = agent.configuration(`lango hook ${name} --respond`);
    context.note(`add this to ${agent.file}`);
    return {
      data: { file: agent.file, configuration },
      text: JSON.stringify(configuration, null, 2),
    };
  }
  const event = parseEvent(await readInput(undefined, MAX_BUFFERED_BYTES));
  return answer((await respond(context, args, agent, event)) ?? agent.pass);
};

/** The agent reads one object from stdout, or nothing; whatever `--json` says. */
function answer(response: JsonObject | undefined): Result {
  if (response !== undefined) writeAll(1, `${JSON.stringify(response)}\n`);
  return {};
}

async function respond(
  context: Context,
  args: Arguments,
  agent: Agent,
  event: JsonObject,
): Promise<JsonObject | undefined> {
  const task = agent.task(event);
  if (task === undefined) return undefined;
  if (task.kind !== "mask") {
    const cwd = text(event["cwd"]) || process.cwd();
    if (touchesVault(context.home, task.input, cwd)) {
      return agent.deny("These are the files of the lango vault, which no tool may read", event);
    }
  }
  if (task.kind === "guard") return agent.allow;
  try {
    // An event is on standard input, and nobody is there to be asked.
    const closed = { ...context, noInput: true };
    return await withVault(closed, args, { stdinFree: false }, async (vault) => {
      using scanner = await loadScanner(context, vault);
      return judge(scanner, agent, task, event);
    });
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    // Not known to be free of secrets, so not shown.
    const reason = `lango could not look for secrets in this: ${error.message}`;
    return task.kind === "check" ? agent.deny(reason, event) : agent.withhold(`[${reason}]`, event);
  }
}

function judge(
  scanner: Scanner,
  agent: Agent,
  task: Exclude<Task, { kind: "guard" }>,
  event: JsonObject,
): JsonObject | undefined {
  if (task.kind === "check") {
    const { isMasked } = maskJson(scanner, task.content);
    return isMasked
      ? agent.deny("A secret of the lango vault stands in this file", event)
      : agent.allow;
  }
  const { value, isMasked } = maskJson(scanner, task.output);
  return isMasked ? agent.replace(value, event) : undefined;
}
