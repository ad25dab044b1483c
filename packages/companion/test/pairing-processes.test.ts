import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { connectChannel, joinPairing, loadIdentity } from "../src/index.ts";
import { memoryPeers } from "./support/devices.ts";
import { expectCode } from "./support/expect-code.ts";

test("two processes pair over TLS, and then have a channel", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lango-pairing-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const script = join(import.meta.dirname, "scripts", "pairing-host.ts");
  const flags = ["--conditions=@lango/source", "--no-warnings", script, join(folder, "host")];
  const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const uri = String((await lines.next()).value);

  const identity = await loadIdentity({ folder: join(folder, "agent"), name: "laptop" });
  const peers = memoryPeers();
  const url = uri.replace(/^lango-pair:(.*)\/#.*/, "wss:$1");
  const dial = () => connectChannel({ role: "agent", identity, peers, url });
  await expect(dial()).rejects.toThrow();
  const peer = await joinPairing({
    ...{ identity, role: "agent", name: "laptop", url: uri },
    store: async ({ id, name, role, fingerprint }) => {
      peers.pins.set(fingerprint, { id, name, role, fingerprint, state: "active", pairedAt: 0 });
    },
  });
  expect(peer.name).toBe("phone");
  expect((await lines.next()).value).toBe("paired with laptop");
  const channel = await dial();
  expect(await channel.call("status", {})).toEqual({ name: "to laptop", asks: false, keys: 0 });
  expect(channel.peer.id).toBe(peer.id);
  await channel.close();
  const again = joinPairing({
    ...{ identity, role: "agent", name: "laptop", url: uri, store: async () => undefined },
  });
  await expectCode(again, "ERR_ACCESS_DENIED");
});
