import { CryptoError } from "@lango/crypto-core";
import type { GuardedTool } from "@lango/guard";
import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  type ClientCapabilities,
  type Implementation,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
  type Tool,
} from "@modelcontextprotocol/server";
import { toContent, toErrorContent } from "./content.ts";
import { createElicitation, type Elicitation, type Question } from "./elicitation.ts";
import { type CallRequest, createPendingCalls, type Round } from "./pending-calls.ts";

export interface McpServerOptions {
  readonly tools: readonly GuardedTool[];
  /** What asks the client; the one whose surface the broker has. Default: the client is never asked. */
  readonly elicitation?: Elicitation;
  readonly name: string;
  readonly version: string;
  /** For the model: how the tools go together. */
  readonly instructions?: string;
}

/** One server for one connection, old protocol or new. */
export interface McpServerInstance {
  readonly server: Server;
  /** Cancels the calls under way. */
  close(): void;
}

const QUESTION = "question";

/**
 * Makes a server of MCP that offers tools under their names with underscores, `secrets_get`. Arguments are checked by the tools,
 * whose errors repeat no values; what fails is a result with `isError`, for the model to read.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for two tools of one name, or a name that MCP cannot have.
 */
export const createServer = (options: McpServerOptions): McpServerInstance => {
  const { tools, name, version, instructions, elicitation = createElicitation() } = options;
  const byName = indexTools(tools);
  const calls = createPendingCalls<CallToolResult>();
  const server = new Server(
    { name, version },
    {
      capabilities: { tools: {} },
      ...(instructions === undefined ? {} : { instructions }),
      // Ours is only asked to check forms, which the questions here do themselves.
      jsonSchemaValidator: { getValidator: () => () => ({ valid: true }) as never },
    },
  );

  server.setRequestHandler("tools/list", () => ({ tools: [...byName].map(describeTool) }));
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const tool = byName.get(mcpName(params.name));
    if (tool === undefined) {
      // Not repeated: what stands there is the model's.
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, "There is no such tool");
    }
    const request: CallRequest = {
      tool: mcpName(params.name),
      args: params.arguments ?? {},
      ...clientOf(server, context),
      signal: context.mcpReq.signal,
    };
    const id = context.mcpReq.requestState<string>();
    const round =
      id === undefined
        ? await calls.start(request, (channel, signal) =>
            elicitation.within(channel, () => run(tool, request.args, signal)),
          )
        : await calls.resume(request, { id, answer: answerOf(context) });
    return round === undefined ? toErrorContent(noSuchCall()) : toResult(round);
  });
  return { server, close: () => calls.close() };
};

/** Dots are not allowed in names of MCP tools by most clients. */
export const mcpName = (name: string): string => name.replaceAll(".", "_");

const indexTools = (tools: readonly GuardedTool[]): ReadonlyMap<string, GuardedTool> => {
  const byName = new Map<string, GuardedTool>();
  for (const tool of tools) {
    const name = mcpName(tool.definition.name);
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name) || byName.has(name)) {
      const message = `The name ${tool.definition.name} is taken, or MCP cannot have it`;
      throw new CryptoError("ERR_INVALID_ARGUMENT", message);
    }
    byName.set(name, tool);
  }
  return byName;
};

const describeTool = ([name, { definition }]: readonly [string, GuardedTool]): Tool => ({
  name,
  description: definition.description,
  inputSchema: definition.inputSchema as Tool["inputSchema"],
  ...(definition.annotations?.title === undefined ? {} : { title: definition.annotations.title }),
  annotations: { ...definition.annotations },
});

const run = async (
  tool: GuardedTool,
  args: unknown,
  signal: AbortSignal,
): Promise<CallToolResult> => {
  try {
    return await toContent(await tool.call(args, { signal }));
  } catch (error) {
    return toErrorContent(error);
  }
};

const toResult = (round: Round<CallToolResult>): CallToolResult | InputRequiredResult => {
  if (round.kind === "done") return round.outcome;
  return inputRequired({
    inputRequests: { [QUESTION]: inputRequired.elicit(formOf(round.question)) },
    requestState: round.id,
  });
};

const formOf = ({ message, form }: Question): Parameters<typeof inputRequired.elicit>[0] => ({
  message,
  requestedSchema: form as never,
});

const answerOf = (context: ServerContext) => {
  const response = inputResponse(context.mcpReq.inputResponses, QUESTION);
  return response.kind === "elicit" ? response : undefined;
};

/** Who calls, and whether it shows forms: in the new protocol each request says it, in the old one the handshake. */
const clientOf = (
  server: Server,
  { mcpReq }: ServerContext,
): Pick<CallRequest, "client" | "showsForms"> => {
  const envelope: Readonly<Record<string, unknown>> | undefined = mcpReq.envelope;
  const capabilities = (envelope?.[CLIENT_CAPABILITIES_META_KEY] ??
    server.getClientCapabilities()) as ClientCapabilities | undefined;
  const info = (envelope?.[CLIENT_INFO_META_KEY] ?? server.getClientVersion()) as
    | Implementation
    | undefined;
  const elicitation = capabilities?.elicitation;
  // Before there was a second mode, clients declared an empty object.
  const showsForms =
    elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
  const client = (info?.name ?? "").replace(/[^\w .-]/g, "").slice(0, 64);
  return { client: client || "without a name", showsForms };
};

const noSuchCall = (): CryptoError =>
  new CryptoError("ERR_DENIED", "The call that was asked about is over, or was another one", {
    context: { hint: "Make the call again" },
  });
