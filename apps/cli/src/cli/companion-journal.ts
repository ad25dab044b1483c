import type { ChannelEvent, SignerEvent } from "@lango/companion";
import { ERROR_CODES } from "@lango/crypto-core";
import type { Vault } from "@lango/vault";
import { noteCompanion } from "./companion-record.ts";
import type { Context } from "./context.ts";

/** What a companion tells its owner while it serves: a line for each request and connection, without values. */
export interface Journal {
  readonly request: (event: SignerEvent) => Promise<void>;
  readonly channel: (event: ChannelEvent) => void;
  /** Waits for rows under way. Resolves to how many requests there were. */
  end(): Promise<number>;
}

/** @param hasPrompter - Whether there is somebody to ask. */
export function createJournal(context: Context, vault: Vault, hasPrompter: boolean): Journal {
  const pending = new Set<Promise<unknown>>();
  const names = new Map<string, string>();
  let requests = 0;
  const keep = async (work: Promise<unknown>): Promise<void> => {
    pending.add(work);
    try {
      await work;
    } finally {
      pending.delete(work);
    }
  };
  return {
    async request({ peerId, method, asked, outcome, durationMs }) {
      requests++;
      const how = asked && hasPrompter ? "asked" : "not asked";
      const name = names.get(peerId) ?? peerId;
      context.note(`${name}: ${method}, ${outcome}, ${how}, ${Math.round(durationMs)} ms`);
      const isCode = Object.hasOwn(ERROR_CODES, outcome);
      const code = outcome as keyof typeof ERROR_CODES;
      const row = { action: `companion.${method}`, target: peerId, detail: `${outcome}, ${how}` };
      const failed = isCode ? ({ outcome: "failure", code } as const) : {};
      await keep(vault.audit.append({ ...row, ...failed, durability: "normal" }));
    },
    channel(event) {
      if (event.type === "refused") {
        const from = event.address === undefined ? "" : ` from ${event.address}`;
        return context.note(`refused a connection${from}: ${event.reason}`);
      }
      const { id, name } = event.peer;
      const connected = event.type === "connected";
      names.set(id, name);
      context.note(connected ? `${name}: connected` : `${name}: closed, ${event.reason}`);
      void keep(noteCompanion(context.home, id, connected));
    },
    async end() {
      await Promise.allSettled(pending);
      return requests;
    },
  };
}
