import { resolve } from "node:path";
import type { SecretFileOptions } from "./secret-file.ts";
import type { UnlockOptions } from "./types.ts";

/** {@link UnlockOptions} with its defaults filled in. */
export interface Surroundings extends UnlockOptions {
  readonly containerSecrets: string;
  readonly stdinWaitMs: number;
  /** How files that hold secrets are judged. */
  readonly files: Omit<SecretFileOptions, "source">;
}

export function surroundingsOf(options: UnlockOptions): Surroundings {
  const containerSecrets = options.containerSecrets ?? "/run/secrets";
  const credentials = options.env["CREDENTIALS_DIRECTORY"] ?? "";
  return {
    ...options,
    containerSecrets,
    stdinWaitMs: options.stdinWaitMs ?? 30_000,
    files: {
      handedOver: [containerSecrets, credentials].filter((f) => f !== "").map((f) => resolve(f)),
      platform: options.platform ?? process.platform,
    },
  };
}
