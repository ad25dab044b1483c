import type { Fault, SeenRequest } from "./fault.ts";

/** Requests of one action of AWS KMS, e.g. `Encrypt`. */
export const awsAction =
  (action: string) =>
  ({ headers }: SeenRequest): boolean =>
    headers["x-amz-target"] === `TrentService.${action}`;

/** An error as AWS KMS words it: the class in `__type`, JSON 1.1. */
export const awsError = (status: number, type: string, message: string): Fault => ({
  kind: "answer",
  status,
  headers: {
    "content-type": "application/x-amz-json-1.1",
    "x-amzn-requestid": "00000000-0000-4000-8000-000000000000",
  },
  body: JSON.stringify({ __type: type, message }),
});
