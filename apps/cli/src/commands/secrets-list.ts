import { type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import type { Handler, Result } from "../cli/command.ts";
import { requireVault } from "../cli/home.ts";
import { table, when } from "../cli/output.ts";
import { type Rows, withRows } from "../cli/reader.ts";

/** Lists names and dates. */
export const run: Handler = async (context, args) => {
  await requireVault(context);
  try {
    return await withRows(context, args, async ({ secrets }) => {
      const found = await secrets.list();
      if (found.length === 0) {
        context.note('no secrets yet: store one with "lango security secrets set NAME"');
      }
      return listed(found);
    });
  } catch (error) {
    // In an encrypted database names are secret too; that nobody can see them now is an answer.
    if (!isCryptoError(error) || !LOCKED.includes(error.code)) throw error;
    return { data: { secrets: null, locked: true }, text: "locked: the database is encrypted" };
  }
};

/** That nothing opens it; or that a provider, which alone could have, is away. */
const LOCKED: readonly CryptoErrorCode[] = [
  "ERR_LOCKED",
  "ERR_UNAVAILABLE",
  "ERR_TIMEOUT",
  "ERR_CIRCUIT_OPEN",
  "ERR_PROVIDER_NOT_INSTALLED",
];

const listed = (secrets: Awaited<ReturnType<Rows["secrets"]["list"]>>): Result => ({
  data: { secrets },
  text: table(
    ["NAME", "KEY", "VERSION", "CREATED", "UPDATED", "USES"],
    secrets.map(({ name, key, version, createdAt, updatedAt, uses }) => [
      name,
      key,
      `${version}`,
      when(createdAt),
      when(updatedAt),
      `${uses}`,
    ]),
  ),
});
