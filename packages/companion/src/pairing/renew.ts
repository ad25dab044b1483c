import { join } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import type { Channel } from "../channel/types.ts";
import {
  type Identity,
  identityFiles,
  type LoadIdentityOptions,
  loadIdentity,
  loadOrMake,
} from "./identity.ts";
import { appendPrivate, movePrivate, readPrivate } from "./private-files.ts";
import { proveRollover } from "./rollover.ts";

/**
 * A new key on its way to the paired devices: each is told by `rollover` over a channel with the old key. Until `finish` both keys
 * are kept in the folder, with who took the new one, so that it goes on where it stopped.
 */
export interface Renewal {
  readonly current: Identity;
  readonly next: Identity;
  /** Ids of the devices that took the new key; to them only `next` is this device. */
  readonly accepted: ReadonlySet<string>;
  /**
   * Tells the device at the other end of a channel that was opened with `current`.
   *
   * @throws {@link CryptoError} Whatever the call rejects with. A device may then have the new key all the same: dial with `next`
   *   where `current` is refused, and note it with `accept`.
   */
  tell(channel: Pick<Channel, "binding" | "call" | "peer">): Promise<void>;
  /** Notes that a device has the new key: it let a channel with `next` in. */
  accept(peerId: string): Promise<void>;
  /**
   * Puts `next` in the place of `current`, whose key is then gone.
   *
   * @param peerIds - The devices that must have it first; others have to be paired again.
   * @throws {@link CryptoError} `ERR_CONFLICT` when one of them has not.
   */
  finish(peerIds: readonly string[]): Promise<Identity>;
}

export interface RenewalOptions extends LoadIdentityOptions {
  /** Only goes on with a renewal that was begun. Default: false. */
  readonly onlyPending?: boolean | undefined;
}

/** Begins a renewal, or goes on with the one that was begun; `undefined` when none was, and only that is wanted. */
export async function renewIdentity(
  options: RenewalOptions & { readonly onlyPending: true },
): Promise<Renewal | undefined>;
export async function renewIdentity(
  options: LoadIdentityOptions & { readonly onlyPending?: false | undefined },
): Promise<Renewal>;
export async function renewIdentity(options: RenewalOptions): Promise<Renewal | undefined> {
  const { folder, onlyPending = false } = options;
  const [files, nextFiles] = [identityFiles(folder, "identity"), identityFiles(folder, "next")];
  const acceptedFile = join(folder, "next.accepted");
  const current = await loadIdentity(options);
  if ((await readPrivate(nextFiles.key)) === undefined) {
    if (onlyPending) return undefined;
    // Left by a `finish` that was interrupted after the key, which alone matters.
    await movePrivate(nextFiles.certificate);
    await movePrivate(acceptedFile);
  }
  const next = await loadOrMake(nextFiles, options);
  const accepted = new Set(lines(await readPrivate(acceptedFile)));
  const accept = async (peerId: string): Promise<void> => {
    if (accepted.has(peerId)) return;
    await appendPrivate(acceptedFile, peerId);
    accepted.add(peerId);
  };
  return {
    current,
    next,
    accepted,
    accept,
    async tell(channel) {
      const { binding, peer } = channel;
      const params = proveRollover(binding, current.fingerprint, next);
      const { accepted: taken } = await channel.call("rollover", params);
      if (!taken) throw new CryptoError("ERR_DENIED", `${peer.name} did not take the new key`);
      await accept(peer.id);
    },
    async finish(peerIds) {
      const missing = peerIds.filter((peerId) => !accepted.has(peerId));
      if (missing.length > 0) {
        const message = `The new key has yet to reach ${missing.length} of ${peerIds.length} devices`;
        throw new CryptoError("ERR_CONFLICT", message, {
          context: { hint: "Connect them, or revoke those that are gone" },
        });
      }
      // Ended by another process, or by an earlier call.
      if ((await readPrivate(nextFiles.key)) === undefined) return loadIdentity(options);
      // A key without a certificate gets a new one, so that every state in between is an identity: the old one, then the new one.
      await movePrivate(files.certificate);
      await movePrivate(nextFiles.key, files.key);
      await movePrivate(nextFiles.certificate, files.certificate);
      await movePrivate(acceptedFile);
      return loadIdentity(options);
    },
  };
}

const lines = (text = ""): string[] => text.split("\n").slice(0, -1);
