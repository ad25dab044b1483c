export type { PiiCategory, PiiName } from "./pii/patterns.ts";
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
