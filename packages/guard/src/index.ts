export { unmaskedReason } from "./scanner/assess.ts";
export { createScanner, type Scanner, type ScannerOptions } from "./scanner/scanner.ts";
export type {
  Finding,
  FormName,
  Masker,
  MaskOptions,
  ScanResult,
  SecretValue,
  Unmasked,
  UnmaskedReason,
} from "./scanner/types.ts";
