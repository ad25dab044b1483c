import type { Action, JsonObject, Safety } from "../approvals/types.ts";
import type { Target } from "../references/policy.ts";

/** What the Model Context Protocol calls annotations: hints for the client, never a promise. */
export interface ToolAnnotations {
  readonly title?: string;
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint?: boolean;
}

/** What a tool is, to the model that calls it and to the guard around it. */
export interface ToolDefinition {
  /** As people and policies name it: `secrets.get`. */
  readonly name: string;
  /** For the model. */
  readonly description: string;
  /** JSON Schema (2020-12) of the arguments, which are an object. */
  readonly inputSchema: JsonObject;
  readonly safety: Safety;
  readonly annotations?: ToolAnnotations;
  /**
   * Names of the parameters in which references are put in, at any depth of their values. References anywhere else stay
   * text. Default: none.
   */
  readonly references?: readonly string[];
  /** Names of the parameters whose values no approval and no log shows. Default: none. */
  readonly withheld?: readonly string[];
  /** Whether the result is keys, names or encoded bytes, in which no personal data is looked for. Default: false. */
  readonly exact?: boolean;
  /** Refuses arguments, before anything else is done with them. What it throws is cleaned. Default: any object. */
  readonly check?: (args: JsonObject) => void;
  /** Where the tool sends what it is given. Default: not known, and then no list of destinations covers it. */
  readonly target?: (args: JsonObject) => Target;
  /** What else an approval is about, and whether it is needed whatever the policy says. Default: nothing, by policy. */
  readonly approval?: (args: JsonObject) => Promise<ApprovalNeeds> | ApprovalNeeds;
}

/** What one call adds to the approval of its tool. */
export interface ApprovalNeeds extends Pick<Action, "secret" | "destination" | "amount"> {
  /** Default: that of the definition. */
  readonly safety?: Safety;
  /** Default: false. */
  readonly required?: boolean;
}

/** What a tool is given beside its arguments. */
export interface ToolContext {
  readonly session: string;
  /** Who approved the call, for the audit: a person, or `policy` when nobody needed to be asked. */
  readonly approvedBy: string;
  /** What the call was approved as: of the definition, or what its `approval` said. */
  readonly safety: Safety;
  /** Aborts when the call is cancelled. */
  readonly signal: AbortSignal;
}

/** Does the work of a tool. Its arguments are a frozen copy of what was approved, with values for references. */
export type ToolHandler = (args: JsonObject, context: ToolContext) => unknown;

/** A tool that may be handed to an agent. */
export interface GuardedTool {
  readonly definition: ToolDefinition;
  /**
   * Asks for the approval, puts values in place of references, runs the tool, and masks its result: text, bytes, structures
   * of them at any depth, streams of them. Whatever it throws is masked too, along its causes.
   *
   * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for arguments that are no JSON object or are refused by the definition;
   *   `ERR_DENIED` and `ERR_APPROVAL_TIMEOUT`; what the tool throws. An abort rejects with the signal's reason.
   */
  call(args: unknown, options?: { readonly signal?: AbortSignal | undefined }): Promise<unknown>;
}
