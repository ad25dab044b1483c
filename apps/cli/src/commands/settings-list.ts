import type { Handler } from "../cli/command.ts";
export const run: Handler = async () => ({});
