/** What the configuration of a client needs so that it starts the server; JSON, and TOML for Codex. */
export function clientConfig(client: string, home: string | undefined): string {
  const args = ["mcp", "serve", ...(home === undefined ? [] : ["--home", home])];
  if (client === "codex") {
    // Strings of JSON are strings of TOML too.
    return `[mcp_servers.lango]\ncommand = "lango"\nargs = ${JSON.stringify(args)}`;
  }
  return JSON.stringify({ mcpServers: { lango: { command: "lango", args } } }, null, 2);
}
