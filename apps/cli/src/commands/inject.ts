import { CryptoError, concat, zero } from "@lango/crypto-core";
import { parseTemplate } from "@lango/guard";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { inputOf, MAX_BUFFERED_BYTES, outputOf, readInput, writeFileWhole } from "../cli/files.ts";
import { counted, writeAll } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { askYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Writes a template with values in place of its references, into a file of mode 0600 that appears whole. */
export const run: Handler = async (context, args) => {
  const out = outputOf(args);
  if (context.json && out === undefined) {
    throw usageError(
      "The document of --json has no place for the result",
      "Name a file with --out",
    );
  }
  const template = await readInput(inputOf(args), MAX_BUFFERED_BYTES);
  const parts = parseReferences(template);
  const names = [...new Set(parts.flatMap((part) => (typeof part === "string" ? [] : part.name)))];
  await requireConsent(context, args, names, out);
  if (args.flag("dry-run")) return preview(context, names, out);
  // Like --reveal: what every process of this user can read is nobody's consent.
  const needs = { freshConsent: true, stdinFree: inputOf(args) !== undefined };
  return withVault(context, args, needs, async (vault) => {
    const values = new Map<string, Uint8Array>();
    try {
      for (const name of names) values.set(name, (await vault.secrets.get(name)).value);
      await vault.audit.append({
        action: "secret.inject",
        detail: counted(names.length, "secret"),
      });
      const whole = concat(
        ...parts.map((part) =>
          typeof part === "string" ? Buffer.from(part, "latin1") : values.get(part.name)!,
        ),
      );
      try {
        if (out === undefined) writeAll(1, whole);
        else await writeFileWhole(out, async (fd) => writeAll(fd, whole));
      } finally {
        zero(whole);
      }
    } finally {
      zero(...values.values());
    }
    const text = `wrote ${out}, with ${counted(names.length, "secret")} in it`;
    return out === undefined ? {} : { data: { out, secrets: names }, text };
  });
};

/** What would be written where; names that do not exist are the fault that they would be. */
const preview = (context: Context, names: readonly string[], out = "standard output") =>
  withReader(context, async (vault) => {
    const known = new Set((await vault.secrets.list()).map(({ name }) => name));
    const missing = names.filter((name) => !known.has(name));
    if (missing.length > 0) {
      throw new CryptoError("ERR_NOT_FOUND", `There is no secret ${missing.join(", ")}`);
    }
    return {
      data: { dryRun: true, out, secrets: names },
      text: `would write ${out}, with ${counted(names.length, "secret")} in it`,
    };
  });

/** As Latin-1, so that every byte of the template comes out again. */
function parseReferences(template: Uint8Array): (string | { readonly name: string })[] {
  return parseTemplate(Buffer.from(template).toString("latin1")).map((part) => {
    if (typeof part === "string") return part;
    if (part.kind === "secret" && part.handle === undefined) return { name: part.name };
    throw usageError("Only {{secret:NAME}} can be put into a template");
  });
}

/** Every name must be one that a person said: a template from elsewhere could name any secret. */
async function requireConsent(
  context: Context,
  args: Arguments,
  names: readonly string[],
  out: string | undefined,
): Promise<void> {
  const allowed = new Set(args.strings("allow"));
  const others = names.filter((name) => !allowed.has(name));
  if (others.length === 0) return;
  const question = `Put ${others.join(", ")} into ${out ?? "standard output"}?`;
  // Not with --yes, which says nothing about names.
  if (inputOf(args) !== undefined && (await askYes({ ...context, yes: false }, question))) return;
  throw new CryptoError(
    "ERR_DENIED",
    `The template names secrets that are not allowed: ${others.join(", ")}`,
    {
      context: { hint: "Allow each with --allow NAME, or say yes on a terminal" },
    },
  );
}
