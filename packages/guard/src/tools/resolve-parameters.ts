import { CryptoError, zero } from "@lango/crypto-core";
import type { JsonObject, JsonValue } from "../approvals/types.ts";
import { parseTemplate } from "../references/parse.ts";
import type { Target } from "../references/policy.ts";
import {
  type ReferenceResolver,
  type ReferenceUse,
  resolveReferences,
} from "../references/resolve.ts";
import { mapStrings } from "./arguments.ts";

export interface ResolveParameters {
  readonly tool: string;
  /** The parameters in which references are put in. */
  readonly parameters: readonly string[];
  readonly target: Target;
  readonly session: string;
  readonly resolver: ReferenceResolver;
  readonly approve: (use: ReferenceUse) => Promise<boolean>;
  readonly signal?: AbortSignal | undefined;
}

/** The arguments with values in place of references, in the parameters that are declared and nowhere else. */
export const resolveParameters = async (
  args: JsonObject,
  options: ResolveParameters,
): Promise<JsonObject> => {
  const members: [string, JsonValue][] = [];
  for (const [name, value] of Object.entries(args)) {
    const isDeclared = options.parameters.includes(name);
    members.push([
      name,
      isDeclared ? await mapStrings(value, (text) => resolveText(text, name, options)) : value,
    ]);
  }
  return Object.freeze(Object.fromEntries(members));
};

const resolveText = async (
  template: string,
  parameter: string,
  { tool, target, session, resolver, approve, signal }: ResolveParameters,
): Promise<string> => {
  if (!parseTemplate(template).some((part) => typeof part !== "string")) return template;
  const bytes = await resolveReferences({
    ...{ template, target, session, resolver, approve },
    sink: { kind: "parameter", tool, parameter },
    ...(signal !== undefined && { signal }),
  });
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      "The value of a reference is no text, so no parameter can hold it",
    );
  } finally {
    zero(bytes);
  }
};
