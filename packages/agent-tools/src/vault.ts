import type { Vault } from "@lango/vault";

/** As much of an open vault as the tools use. */
export type ToolVault = Pick<Vault, "secrets" | "keys" | "status" | "approvals">;
