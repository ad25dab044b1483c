import type { OpenOptions, SealOptions } from "./recipients.ts";

export interface FilePaths {
  readonly from: string;
  readonly to: string;
}
export const sealFile = (_options: SealOptions & FilePaths): Promise<void> =>
  Promise.reject(new Error("soon"));
export const openFile = (_options: OpenOptions & FilePaths): Promise<void> =>
  Promise.reject(new Error("soon"));
