import { createHash } from "node:crypto";
import {
  CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
  type KeyRequest,
  type Operation,
  type WrapKeyRequest,
} from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";

/** A provider with keys of its own, real ones, under the name of a service; a test can take it away. */
export interface Remote {
  readonly provider: CryptoProvider;
  /** What was asked, in order. */
  readonly calls: Operation[];
  /** Whoever asks now gets this error. */
  fault: CryptoErrorCode | undefined;
  /** Only for these operations. Default: all. */
  faultOf: readonly Operation[] | undefined;
  /** Runs before an operation does its work. */
  before: ((operation: Operation) => Promise<void> | void) | undefined;
  /** Changes what `wrapKey` gives. */
  spoil: ((wrapped: Uint8Array) => void) | undefined;
}

export interface RemoteOptions {
  /** Ids of keys. Their material follows from name and id, so that another process has the same ones. */
  readonly keys?: readonly string[];
  /** What an alias stands for. */
  readonly aliases?: Readonly<Record<string, string>>;
  readonly wrapAad?: boolean;
}

const WATCHED = [
  "encrypt",
  "decrypt",
  "sign",
  "wrapKey",
  "unwrapKey",
  "rewrapKey",
  "getPublicKey",
  "rotateKey",
  "describeKey",
] as const satisfies readonly Operation[];

export const remote = (
  name = "aws-kms",
  { keys = ["k1", "k2", "k3"], aliases = {}, wrapAad = true }: RemoteOptions = {},
): Remote => {
  const material = (id: string) => createHash("sha256").update(`${name} ${id}`).digest();
  const real = createLocalProvider({
    keys: [
      ...keys.map((id) => ({
        id,
        algorithm: "aes-256-gcm" as const,
        versions: [{ version: 1, material: material(id) }],
      })),
      {
        id: "disabled",
        algorithm: "aes-256-gcm",
        versions: [{ version: 1, material: material("disabled"), state: "disabled" }],
      },
      {
        id: "mac",
        algorithm: "hmac-sha256",
        versions: [{ version: 1, material: material("mac") }],
      },
    ],
  });
  const watched: Partial<Record<Operation, unknown>> = {};
  for (const operation of WATCHED) {
    const method = real[operation]?.bind(real) as (request: KeyRequest) => Promise<unknown>;
    watched[operation] = async (request: KeyRequest): Promise<unknown> => {
      state.calls.push(operation);
      const { fault, faultOf = WATCHED } = state;
      await state.before?.(operation);
      if (fault && (faultOf as readonly Operation[]).includes(operation)) {
        throw new CryptoError(fault, `${name} says ${fault}`, { context: { provider: name } });
      }
      request.signal?.throwIfAborted();
      return method({ ...request, keyId: aliases[request.keyId] ?? request.keyId });
    };
  }
  const provider = {
    ...real,
    ...(watched as Partial<CryptoProvider>),
    name,
    capabilities: { ...real.capabilities, remote: true, wrapAad },
    async wrapKey(request: WrapKeyRequest) {
      const result = await (watched["wrapKey"] as NonNullable<CryptoProvider["wrapKey"]>)(request);
      state.spoil?.(result.wrappedKey);
      return result;
    },
  };
  const state: Remote = {
    provider,
    calls: [],
    fault: undefined,
    faultOf: undefined,
    before: undefined,
    spoil: undefined,
  };
  return state;
};

export const countOf = ({ calls }: Remote, operation: Operation): number =>
  calls.filter((each) => each === operation).length;
