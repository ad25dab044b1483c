export type { Encoding } from "./encoding.ts";
export type { FindClient, KeyUse } from "./keys.ts";
export { createElicitation, type Elicitation } from "./mcp/elicitation.ts";
export type { McpServerInstance, McpServerOptions } from "./mcp/server.ts";
export type { ServeMcpOptions } from "./mcp/stdio.ts";
export { createMcpServer, serveMcp } from "./mcp.ts";
export {
  createVaultReferences,
  type VaultReferences,
  type VaultReferencesOptions,
} from "./references.ts";
export type { EnteredSecret, RequestSecret, SecretRequest } from "./secret-tools.ts";
export { type CreateToolsOptions, createTools } from "./tools.ts";
export type { ToolVault } from "./vault.ts";
