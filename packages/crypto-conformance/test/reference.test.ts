import { describeProvider } from "../src/vitest.ts";
import { createReference } from "./reference-provider.ts";

describeProvider("reference (own, not counted)", createReference);
