import { parentPort } from "node:worker_threads";
import type { Bytes } from "@lango/crypto-core";
import { type DataKey, receiveDataKey, type SentDataKey } from "@lango/envelope";
import { joined, type Reply, type Request, unpackKept, unpackSealed } from "./rotation-message.ts";
import { openVersions, resealVersions } from "./rotation-work.ts";

// The program of the thread that rotation-thread.ts starts.

/** Does one piece of work with keys that are gone afterwards. */
const work = (request: Request): Reply => {
  const held: DataKey[] = [];
  const receive = (sent: SentDataKey): DataKey => {
    const key = receiveDataKey(sent);
    held.push(key);
    return key;
  };
  try {
    const { vaultId } = request;
    if (request.kind === "open") {
      const dataKeys = new Map<string, DataKey>();
      for (const [id, sent] of request.dataKeys) dataKeys.set(id, receive(sent));
      openVersions({ vaultId, dataKeys, versions: unpackSealed(request.versions) });
      return "opened";
    }
    const done = resealVersions({
      ...{ vaultId, rowsKeys: request.rowsKeys },
      ...{ from: receive(request.from), to: receive(request.to) },
      versions: unpackKept(request.versions),
    });
    return {
      sealed: joined(done.map(({ sealed }) => sealed)),
      hashes: done.map(({ hash }) => hash),
    };
  } catch {
    return undefined;
  } finally {
    for (const key of held) key.destroy();
  }
};

parentPort?.on("message", (request: Request) => {
  const reply = work(request);
  const moved: Bytes[] = typeof reply === "object" ? [reply.sealed] : [];
  parentPort?.postMessage(
    reply,
    moved.map(({ buffer }) => buffer),
  );
});
