import type { McpServerInstance, McpServerOptions } from "./mcp/server.ts";
import type { ServeMcpOptions } from "./mcp/stdio.ts";

/**
 * Makes a server of MCP for one connection, over a transport of the caller's. The protocol's packages are loaded now and not before.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for two tools of one name, or a name that MCP cannot have.
 */
export const createMcpServer = async (options: McpServerOptions): Promise<McpServerInstance> =>
  (await import("./mcp/server.ts")).createServer(options);

/** Serves one client over standard input and output until either side ends it. */
export const serveMcp = async (options: ServeMcpOptions): Promise<void> =>
  (await import("./mcp/stdio.ts")).serve(options);
