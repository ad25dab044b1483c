import {
  type CryptoClient,
  CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
} from "@lango/crypto-core";

type Provider = Required<CryptoProvider>;

/**
 * One planted fault: what it replaces in the provider, or in the client, and the one check that must notice. It is as
 * narrow as it can be, so that it shows that the check looks where no other does.
 */
export interface Fault {
  readonly check: string;
  readonly provider?: (honest: Provider) => Partial<Provider>;
  /** For what the client promises on behalf of every provider. */
  readonly client?: (honest: CryptoClient, provider: Provider) => Partial<CryptoClient>;
}

/** Runs the second call if the first one rejects. */
export const orElse = <T>(first: Promise<T>, second: () => Promise<T>): Promise<T> =>
  first.catch(second);

/** Whether bytes have a length by which one check is told from the others. */
export const is = (bytes: Uint8Array | undefined, length: number): boolean =>
  bytes?.length === length;

/** The bytes as a `Buffer` over Node's shared pool. */
export const pooled = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  Buffer.from(bytes) as unknown as Uint8Array<ArrayBuffer>;

export async function refuse(condition: boolean, code: CryptoErrorCode): Promise<void> {
  if (condition) throw new CryptoError(code, "planted");
}
