import { CryptoError, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";

type Verb = "read" | "write";

/** What the system says, as a code and in words. */
const FILE_ERRORS: Readonly<Record<string, readonly [code: CryptoErrorCode, reason: string]>> = {
  ENOENT: ["ERR_NOT_FOUND", "there is no such file"],
  ENOTDIR: ["ERR_NOT_FOUND", "a part of its path is no folder"],
  EACCES: ["ERR_ACCESS_DENIED", "permission denied"],
  EPERM: ["ERR_ACCESS_DENIED", "permission denied"],
  EROFS: ["ERR_ACCESS_DENIED", "the file system is read-only"],
  EISDIR: ["ERR_INVALID_ARGUMENT", "it is a folder"],
  ENAMETOOLONG: ["ERR_INVALID_ARGUMENT", "its name is too long"],
  ELOOP: ["ERR_INVALID_ARGUMENT", "its links lead in a circle"],
  // Not "unavailable": that is a provider that cannot be reached.
  ENOSPC: ["ERR_BUSY", "the disk is full"],
  EDQUOT: ["ERR_BUSY", "the quota of the disk is used up"],
  EFBIG: ["ERR_BUSY", "it would be larger than a file may be"],
};

/**
 * An error of the file system as a {@link CryptoError} of one line, `Cannot read NAME: REASON`, with the error as its
 * cause. What is no error of the file system stays as it is, abort reasons too.
 */
export const fileError = (verb: Verb, name: string, error: unknown): unknown => {
  if (isCryptoError(error) || !(error instanceof Error) || !("syscall" in error)) return error;
  const native = "code" in error ? String(error.code) : "unknown";
  const [code, reason] = FILE_ERRORS[native] ?? ["ERR_INTERNAL", native];
  // More room does not come by itself.
  const retryable = code === "ERR_BUSY" ? { retryable: false } : {};
  return new CryptoError(code, `Cannot ${verb} ${name}: ${reason}`, { cause: error, ...retryable });
};
