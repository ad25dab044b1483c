export {
  type BrokerOptions,
  type BrokerVault,
  createBroker,
  type GrantRef,
} from "./approvals/broker.ts";
export { needsApproval, tightenPolicy } from "./approvals/policy.ts";
export { ownTerminal } from "./approvals/processes.ts";
export { createProgrammaticSurface, type ProgrammaticOptions } from "./approvals/programmatic.ts";
export { toolName } from "./approvals/snapshot.ts";
export { escapeText } from "./approvals/summary.ts";
export {
  createTerminalSurface,
  type TerminalDevice,
  type TerminalSurfaceOptions,
} from "./approvals/terminal.ts";
export type {
  Action,
  Answer,
  ApprovalPolicy,
  ApprovalRequest,
  Broker,
  DecideOptions,
  Decision,
  JsonObject,
  JsonValue,
  Requester,
  Safety,
  Scope,
  Surface,
} from "./approvals/types.ts";
export {
  type ChatText,
  createGuard,
  type Direction,
  type Exit,
  type Guard,
  type GuardOptions,
} from "./guard.ts";
export type { PiiDetector } from "./pii/detector.ts";
export type { PiiCategory, PiiName } from "./pii/patterns.ts";
export { createPresidioDetector, type PresidioOptions } from "./pii/presidio.ts";
export {
  createPiiRedactor,
  type PiiFinding,
  type PiiRedactor,
  type PiiRedactorOptions,
} from "./pii/redactor.ts";
export {
  formatReference,
  newHandle,
  parseTemplate,
  type Reference,
  type TemplatePart,
} from "./references/parse.ts";
export {
  judgePlainForm,
  type SecretPolicy,
  type Target,
  targetName,
  type Verdict,
} from "./references/policy.ts";
export {
  type ReferenceResolver,
  type ReferenceUse,
  type ResolveOptions,
  resolveReferences,
  type Sink,
} from "./references/resolve.ts";
export { unmaskedReason } from "./scanner/assess.ts";
export { createScanner, type Scanner, type ScannerOptions } from "./scanner/scanner.ts";
export type {
  Finding,
  FormName,
  Masker,
  MaskOptions,
  ScanResult,
  SecretValue,
  TerminalMasker,
  Unmasked,
  UnmaskedReason,
} from "./scanner/types.ts";
export type {
  ApprovalNeeds,
  GuardedTool,
  ToolAnnotations,
  ToolContext,
  ToolDefinition,
  ToolHandler,
} from "./tools/definition.ts";
export type { TextFilter } from "./tools/filter.ts";
