import type { Service } from "./service.ts";

export const pkcs11Services: readonly Service[] = [];
