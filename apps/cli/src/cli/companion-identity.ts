import { hostname } from "node:os";
import { join } from "node:path";
import type { Identity, Role } from "@lango/companion";
import type { Context } from "./context.ts";

/** What this device is called where nobody said otherwise. */
export const deviceName = (): string => hostname();

/** The key and certificate of this device in a role; made when they are first needed. */
export async function identityOf({ home }: Pick<Context, "home">, role: Role): Promise<Identity> {
  const { loadIdentity } = await import("./companion.ts");
  return loadIdentity({ folder: join(home, "companion", role), name: deviceName() });
}
