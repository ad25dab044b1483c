import type { Service } from "./service.ts";

export const awsServices: readonly Service[] = [];
