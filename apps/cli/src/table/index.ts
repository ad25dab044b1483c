import type { Command } from "../cli/command.ts";
import { ADMIN_COMMANDS } from "./admin.ts";
import { AGENT_COMMANDS } from "./agent.ts";
import { APPROVALS_COMMANDS } from "./approvals.ts";
import { BACKUP_COMMANDS } from "./backup.ts";
import { COMPANION_COMMANDS } from "./companion.ts";
import { CRYPTO_COMMANDS } from "./crypto.ts";
import { DATABASE_COMMANDS } from "./database.ts";
import { GENERAL_COMMANDS } from "./general.ts";
import { MCP_COMMANDS } from "./mcp.ts";
import { ROTATION_COMMANDS } from "./rotation.ts";
import { RUNNING_COMMANDS } from "./running.ts";
import { SECURITY_COMMANDS } from "./security.ts";
import { STORE_COMMANDS } from "./store.ts";

/** Every command of lango, in the order of help. What is not here does not exist. */
export const COMMANDS: readonly Command[] = [
  ...GENERAL_COMMANDS,
  ...AGENT_COMMANDS,
  ...RUNNING_COMMANDS,
  ...SECURITY_COMMANDS,
  ...BACKUP_COMMANDS,
  ...ROTATION_COMMANDS,
  ...ADMIN_COMMANDS,
  ...DATABASE_COMMANDS,
  ...APPROVALS_COMMANDS,
  ...CRYPTO_COMMANDS,
  ...COMPANION_COMMANDS,
  ...MCP_COMMANDS,
  ...STORE_COMMANDS,
];
