import type { Fault, SeenRequest } from "./fault.ts";

/** Requests of one operation on a key, e.g. `encrypt`: the last part of the path, `/keys/NAME/VERSION/encrypt`. */
export const azureOperation =
  (operation: string) =>
  ({ path }: SeenRequest): boolean =>
    path.split("?")[0]?.endsWith(`/${operation}`) ?? false;

/** An error as Azure Key Vault words it. `inner` is the more exact code, e.g. `KeyDisabled`. */
export const azureError = (
  status: number,
  code: string,
  { inner, headers = {} }: { inner?: string; headers?: Record<string, string> } = {},
): Fault => ({
  kind: "answer",
  status,
  headers: { "content-type": "application/json; charset=utf-8", ...headers },
  body: JSON.stringify({
    error: { code, message: code, ...(inner !== undefined && { innererror: { code: inner } }) },
  }),
});
