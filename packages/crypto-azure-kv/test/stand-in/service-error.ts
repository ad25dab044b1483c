/** An answer that is an error, with the body that Key Vault gives. */
export class ServiceError extends Error {
  readonly status: number;
  readonly code: string;
  readonly inner: string | undefined;

  constructor(status: number, code: string, message: string, inner?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.inner = inner;
  }

  body(): object {
    const { code, message, inner } = this;
    return {
      error: { code, message, ...(inner !== undefined && { innererror: { code: inner } }) },
    };
  }
}

export const badParameter = (message: string): ServiceError =>
  new ServiceError(400, "BadParameter", message);

export const notFound = (name: string): ServiceError =>
  new ServiceError(
    404,
    "KeyNotFound",
    `A key with (name/id) ${name} was not found in this key vault.`,
  );
