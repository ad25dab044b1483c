import { appendFileSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  checkRollover,
  connectChannel,
  createChannelListener,
  loadIdentity,
  proveRollover,
  renewIdentity,
  withRollover,
} from "../src/index.ts";
import { forge } from "./support/certificates.ts";
import { makeIdentity, memoryPeers, peerOf } from "./support/devices.ts";
import { expectCode } from "./support/expect-code.ts";

const BINDING = new Uint8Array(32).fill(3);
const [PHONE, TABLET] = ["P".repeat(22), "T".repeat(22)];

const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "lango-renewal-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "agent");
};

test("a rollover holds on its channel, for its old pin and its certificate, and nowhere else", async () => {
  const [old, next, other] = [
    await makeIdentity("old"),
    await makeIdentity("next"),
    await makeIdentity("other"),
  ];
  const params = proveRollover(BINDING, old.fingerprint, next);
  expect(params.signature).toHaveLength(64);
  expect(checkRollover(BINDING, old.fingerprint, params)).toBe(next.fingerprint);
  const elsewhere = new Uint8Array(32).fill(4);
  const stolen = { ...params, certificate: other.certificate };
  const damaged = {
    ...params,
    signature: params.signature.with(0, (params.signature[0] ?? 0) ^ 1),
  };
  for (const check of [
    () => checkRollover(elsewhere, old.fingerprint, params),
    () => checkRollover(BINDING, other.fingerprint, params),
    () => checkRollover(BINDING, old.fingerprint, stolen),
    () => checkRollover(BINDING, old.fingerprint, damaged),
    () => checkRollover(BINDING, old.fingerprint, { ...params, signature: new Uint8Array(64) }),
    () => checkRollover(BINDING, old.fingerprint, { ...params, signature: new Uint8Array(0) }),
  ]) {
    await expectCode(check, "ERR_ACCESS_DENIED");
  }
});

test("a rollover to what cannot be an identity", async () => {
  const [old, next] = [await makeIdentity("old"), await makeIdentity("next")];
  const { signature } = proveRollover(BINDING, old.fingerprint, next);
  const certificate = new Uint8Array(100);
  const broken = () => checkRollover(BINDING, old.fingerprint, { certificate, signature });
  await expectCode(broken, "ERR_INVALID_ARGUMENT");
  for (const made of [Date.now() + 3 * 86_400_000, Date.now() - 3651 * 86_400_000]) {
    const params = proveRollover(BINDING, old.fingerprint, await makeIdentity("next", made));
    await expectCode(() => checkRollover(BINDING, old.fingerprint, params), "ERR_INVALID_ARGUMENT");
  }
  const curve = proveRollover(BINDING, old.fingerprint, await forge({ kind: "P-384" }));
  await expectCode(() => checkRollover(BINDING, old.fingerprint, curve), "ERR_INVALID_ARGUMENT");
});

test("a paired device takes the new key over a channel with the old one, and no other", async () => {
  const folder = newFolder();
  const companion = await makeIdentity("companion");
  const first = await loadIdentity({ folder, name: "agent" });
  const agentPeers = memoryPeers(peerOf(companion, "companion"));
  const companionPeers = memoryPeers(peerOf(first, "agent"));
  const listener = createChannelListener({
    ...{ role: "companion", identity: companion, peers: companionPeers },
    handler: withRollover(companionPeers, async () => ({ name: "c", asks: false, keys: 0 })),
  });
  onTestFinished(() => listener.close());
  const { port } = await listener.listen();
  const dial = (identity: typeof first) =>
    connectChannel({
      ...{ role: "agent", identity, peers: agentPeers, url: `https://127.0.0.1:${port}` },
    });
  const renewal = await renewIdentity({ folder, name: "agent" });
  await expect(dial(renewal.next)).rejects.toThrow();
  const channel = await dial(renewal.current);
  expect(await channel.call("status", {})).toMatchObject({ name: "c" });
  await renewal.tell(channel);
  expect([...renewal.accepted]).toEqual([channel.peer.id]);
  const now = await renewal.finish([channel.peer.id]);
  await channel.close();
  await (await dial(now)).close();
  await expect(dial(first)).rejects.toThrow();
});

test("the old key stays until every device has the new one", async () => {
  const folder = newFolder();
  const old = await loadIdentity({ folder, name: "x" });
  expect(await renewIdentity({ folder, name: "x", onlyPending: true })).toBeUndefined();
  const renewal = await renewIdentity({ folder, name: "x" });
  expect(renewal.current).toEqual(old);
  expect(renewal.next.fingerprint).not.toBe(old.fingerprint);
  await renewal.accept(PHONE);
  await renewal.accept(PHONE);
  await expectCode(() => renewal.finish([PHONE, TABLET]), "ERR_CONFLICT");
  expect(await loadIdentity({ folder, name: "x" })).toEqual(old);

  const later = await renewIdentity({ folder, name: "x", onlyPending: true });
  expect(later?.next).toEqual(renewal.next);
  expect([...(later?.accepted ?? [])]).toEqual([PHONE]);
  await later?.accept(TABLET);
  expect(await later?.finish([PHONE, TABLET])).toEqual(renewal.next);
  expect(await loadIdentity({ folder, name: "x" })).toEqual(renewal.next);
  expect(readdirSync(folder).sort()).toEqual(["identity.crt", "identity.key"]);
  expect(await renewal.finish([])).toEqual(renewal.next);
});

test("a renewal that died at any step is an identity, the old one or the new one, and can go on", async () => {
  const steps = [
    (at: (name: string) => string) => rmSync(at("identity.crt")),
    (at: (name: string) => string) => renameSync(at("next.key"), at("identity.key")),
    (at: (name: string) => string) => renameSync(at("next.crt"), at("identity.crt")),
  ];
  for (let died = 0; died <= steps.length; died += 1) {
    const folder = newFolder();
    const old = await loadIdentity({ folder, name: "x" });
    const { next, accept } = await renewIdentity({ folder, name: "x" });
    await accept(PHONE);
    for (const step of steps.slice(0, died)) step((name) => join(folder, name));
    const { fingerprint } = died < 2 ? old : next;
    expect((await loadIdentity({ folder, name: "x" })).fingerprint, `${died}`).toBe(fingerprint);
    const goesOn = await renewIdentity({ folder, name: "x" });
    expect(goesOn.current.fingerprint).toBe(fingerprint);
    expect(goesOn.next.fingerprint === next.fingerprint).toBe(died < 2);
    expect([...goesOn.accepted]).toEqual(died < 2 ? [PHONE] : []);
    expect((await goesOn.finish([])).fingerprint).toBe(goesOn.next.fingerprint);
  }
});

test("a line that was cut off counts for nobody", async () => {
  const folder = newFolder();
  const { accept } = await renewIdentity({ folder, name: "x" });
  await accept(PHONE);
  appendFileSync(join(folder, "next.accepted"), TABLET.slice(3));
  const { accepted } = await renewIdentity({ folder, name: "x" });
  expect([...accepted]).toEqual([PHONE]);
});

test("loading while a renewal ends gives one of the two", async () => {
  for (let round = 0; round < 5; round += 1) {
    const folder = newFolder();
    const renewal = await renewIdentity({ folder, name: "x" });
    const loads = [0, 1, 2, 3, 4, 5].map(async (ms) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return (await loadIdentity({ folder, name: "x" })).fingerprint;
    });
    await renewal.finish([]);
    for (const fingerprint of await Promise.all(loads)) {
      expect([renewal.current.fingerprint, renewal.next.fingerprint]).toContain(fingerprint);
    }
    const last = await loadIdentity({ folder, name: "x" });
    expect(last.fingerprint).toBe(renewal.next.fingerprint);
  }
});
