import { randomUUID } from "node:crypto";
import { type Bytes, CryptoError, zero } from "@lango/crypto-core";
import {
  judgePlainForm,
  type ReferenceResolver,
  type ReferenceUse,
  type SecretPolicy,
  targetName,
} from "@lango/guard";
import type { HandleUse } from "@lango/vault";
import type { ToolVault } from "./vault.ts";

/** The references of an agent: to secrets of a vault, and to what was decrypted for its session. */
export interface VaultReferences extends ReferenceResolver {
  /**
   * Keeps what was decrypted, in memory and for this session alone, for {@link VaultReferencesOptions.decryptedMs}.
   *
   * @param value - Owned from here on.
   * @returns The id for `{{decrypt:id}}`.
   */
  keep(session: string, value: Bytes): string;
  /** Zeroes what it keeps. */
  close(): void;
}

export interface VaultReferencesOptions {
  readonly vault: Pick<ToolVault, "secrets" | "approvals">;
  /** How long a decrypted value is kept, in milliseconds. Default: 600,000. */
  readonly decryptedMs?: number;
  /** How many are kept; the oldest goes first. Default: 100. */
  readonly maxDecrypted?: number;
}

interface Decrypted {
  readonly session: string;
  readonly value: Bytes;
  readonly timer: NodeJS.Timeout;
}

const TEN_MINUTES_MS = 600_000;
/** Nothing is listed for a decrypted value: each use needs an approval. */
const UNLISTED: SecretPolicy = { destinations: [], commands: [] };

/** Resolves references for agents: reserved names are names that are not there. */
export const createVaultReferences = (options: VaultReferencesOptions): VaultReferences => {
  const { vault, decryptedMs = TEN_MINUTES_MS, maxDecrypted = 100 } = options;
  const kept = new Map<string, Decrypted>();

  const forget = (id: string): void => {
    const entry = kept.get(id);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    zero(entry.value);
    kept.delete(id);
  };

  const find = (id: string, session: string | undefined): Decrypted | undefined => {
    const entry = kept.get(id);
    return entry?.session === session ? entry : undefined;
  };

  return {
    keep(session, value) {
      for (const id of kept.keys()) if (kept.size >= maxDecrypted) forget(id);
      const id = randomUUID();
      const timer = setTimeout(() => forget(id), decryptedMs).unref();
      kept.set(id, { session, value, timer });
      return id;
    },

    async policyOf(use) {
      const { reference, session } = use;
      if (reference.kind === "decrypt") return find(reference.id, session) && UNLISTED;
      const { name, handle } = reference;
      const { handles, destinations } = vault.approvals;
      const policy = await destinations.get(name, AGENT);
      if (handle === undefined || policy === undefined) return policy;
      // What the owner lists since then holds for handles, too.
      const verdict = judgePlainForm({ ...policy, requiresHandle: false }, use.target);
      if (verdict === "forbidden") return undefined;
      return (await handles.check(handle, handleUse(name, use))) ? UNLISTED : undefined;
    },

    async open(use) {
      const { reference, session } = use;
      if (reference.kind === "decrypt") {
        const found = find(reference.id, session);
        if (found === undefined) throw new CryptoError("ERR_NOT_FOUND", "It is not kept any more");
        return new Uint8Array(found.value);
      }
      const { name, handle } = reference;
      if (handle === undefined) return (await vault.secrets.get(name, AGENT)).value;
      return (await vault.approvals.handles.consume(handle, handleUse(name, use))).value;
    },

    close() {
      for (const id of [...kept.keys()]) forget(id);
    },
  };
};

const AGENT = { audience: "agent" } as const;

const handleUse = (
  secret: string,
  { sink, target, session }: ReferenceUse,
): HandleUse & typeof AGENT => ({
  ...AGENT,
  secret,
  session: session ?? "",
  tool: toolOfHandle(sink.kind === "parameter" ? sink.tool : sink.kind),
  destination: targetName(target),
});

/** Dots and underscores are the same in names of tools: clients of MCP know them with underscores. */
export const toolOfHandle = (tool: string): string => tool.replaceAll(".", "_");
