import { describe, expect, test } from "vitest";
import { createPairingHost, joinPairing } from "../src/index.ts";
import { formatCode, newCode, parseCode } from "../src/pairing/code.ts";
import { codeProof, commitTo, newNonce } from "../src/pairing/proofs.ts";
import { makeIdentity } from "./support/devices.ts";
import { expectCode } from "./support/expect-code.ts";
import { listenerOf, makeRig, type Rig } from "./support/pairing-rig.ts";
import { type RawJoiner, rawJoiner } from "./support/raw-pairing.ts";

const HELLO = { type: "hello", version: 1, mode: "code", role: "agent", name: "raw" };
const REFUSED = { type: "refused", reason: "refused" };

/** Says hello as anyone can, and shows a proof of the code. */
const prove = async (
  { host, identities }: Rig,
  raw: RawJoiner,
  code: Uint8Array = parseCode(host.code ?? ""),
  name: string = HELLO.name,
): Promise<void> => {
  const theirs = await raw.next();
  raw.send({ ...HELLO, name });
  const proof = codeProof(code, "joiner", {
    mode: "code",
    id: String(theirs?.["id"]),
    exporter: raw.exporter as Uint8Array<ArrayBuffer>,
    host: { role: "companion", name: "Ada's phone", fingerprint: raw.fingerprint },
    joiner: { role: "agent", name, fingerprint: identities.joiner.fingerprint },
  });
  raw.send({ type: "proof", proof: Buffer.from(proof).toString("base64") });
};

describe("a code", () => {
  test("pairs two devices, each with the pin of the other under one id", async () => {
    const { host, join, kept, identities } = await makeRig();
    const joined = await join({ code: host.code });
    const paired = await host.done;
    expect(joined).toEqual({
      id: expect.stringMatching(/^[\w-]{22}$/),
      name: "Ada's phone",
      role: "companion",
      fingerprint: identities.host.fingerprint,
      certificate: identities.host.certificate,
    });
    expect(paired).toEqual({
      id: joined.id,
      name: "build machine",
      role: "agent",
      fingerprint: identities.joiner.fingerprint,
      certificate: identities.joiner.certificate,
    });
    expect(kept).toEqual({ host: [paired], joiner: [joined] });
  });

  test("comes with the URI, which a QR code holds", async () => {
    const { host, join, identities } = await makeRig();
    expect(host.uri).toContain(identities.host.fingerprint);
    expect((await host.qr()).split("\n").length).toBeGreaterThan(15);
    expect((await join({ url: host.uri ?? "" })).fingerprint).toBe(identities.host.fingerprint);
  });

  test("works whichever role shows it", async () => {
    const { host, join } = await makeRig({ role: "agent" });
    await join({ role: "companion", code: host.code?.toLowerCase().replaceAll("-", " ") });
    expect((await host.done).role).toBe("companion");
  });

  test("is dead after three wrong ones, and says the same to each and to a right one then", async () => {
    const rig = await makeRig();
    const answers = [];
    for (let index = 0; index < 3; index += 1) {
      const raw = await rawJoiner(rig.port, rig.identities.joiner);
      await prove(rig, raw, newCode());
      answers.push(await raw.next());
    }
    await expectCode(rig.host.done, "ERR_ACCESS_DENIED");
    const right = await rawJoiner(rig.port, rig.identities.joiner);
    answers.push(await right.next());
    expect(answers).toEqual([REFUSED, REFUSED, REFUSED, REFUSED]);
    await expectCode(rig.join({ code: rig.host.code }), "ERR_ACCESS_DENIED");
    expect(rig.kept).toEqual({ host: [], joiner: [] });
  });

  test("two wrong ones leave a try", async () => {
    const { host, join } = await makeRig();
    for (let index = 0; index < 2; index += 1) {
      await expectCode(join({ code: formatCode(newCode()) }), "ERR_ACCESS_DENIED");
    }
    await join({ code: host.code });
    await host.done;
  });

  test("of many guesses at once no more than three are looked at", async () => {
    const rig = await makeRig();
    const raws = [];
    for (let index = 0; index < 6; index += 1) {
      raws.push(await rawJoiner(rig.port, rig.identities.joiner));
    }
    // Five wrong, and the right one last.
    await Promise.all(raws.map((raw, index) => prove(rig, raw, index < 5 ? newCode() : undefined)));
    for (const raw of raws) expect(await raw.next()).toEqual(REFUSED);
    await expectCode(rig.host.done, "ERR_ACCESS_DENIED");
  });

  test("has one winner", async () => {
    const { host, join, kept } = await makeRig();
    const others = await Promise.all([0, 1, 2].map((index) => makeIdentity(`j${index}`)));
    const joins = others.map((identity) => join({ identity, code: host.code }));
    const settled = await Promise.allSettled(joins);
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await host.done;
    expect(kept.host).toHaveLength(1);
    expect(kept.joiner).toHaveLength(1);
  });

  test("is good once", async () => {
    const { host, join } = await makeRig();
    await join({ code: host.code });
    await expectCode(join({ code: host.code }), "ERR_ACCESS_DENIED");
  });

  test("ends with its time, by the timer or by the clock", async () => {
    const short = await makeRig({ validMs: 100 });
    await expectCode(short.host.done, "ERR_TIMEOUT");
    await expectCode(short.join({ code: short.host.code }), "ERR_ACCESS_DENIED");
    let now = Date.now();
    const asleep = await makeRig({ clock: () => now });
    now += 120_001;
    await expectCode(asleep.join({ code: asleep.host.code }), "ERR_ACCESS_DENIED");
    expect(asleep.kept.host).toEqual([]);
  });

  test("a proof seen on one connection is worth nothing on another", async () => {
    const rig = await makeRig();
    const first = await rawJoiner(rig.port, rig.identities.joiner);
    const second = await rawJoiner(rig.port, rig.identities.joiner);
    // Proved for the exporter of `first`, said on `second`.
    await prove(rig, { ...second, exporter: first.exporter });
    expect(await second.next()).toEqual(REFUSED);
  });
});

describe("refused", () => {
  test("where no pairing is open", async () => {
    const { listener, host, join } = await makeRig();
    listener.setPairing(undefined);
    await expectCode(join({ code: host.code }), "ERR_ACCESS_DENIED");
  });

  test("another device than the URI says, before anything is sent", async () => {
    const { host } = await makeRig();
    const impostor = await listenerOf(await makeIdentity("impostor"));
    let heard = 0;
    impostor.listener.setPairing((socket) => {
      heard += 1;
      socket.close();
    });
    const url = host.uri?.replace(/:\d+\//, `:${impostor.port}/`) ?? "";
    const identity = await makeIdentity("j");
    const common = { identity, role: "agent", name: "j", store: async () => undefined } as const;
    await expectCode(joinPairing({ ...common, url }), "ERR_ACCESS_DENIED");
    expect(heard).toBe(0);
  });

  test("a raw joiner of the same role, or with the host's own key", async () => {
    const { port, identities, kept } = await makeRig();
    const twin = await rawJoiner(port, identities.joiner);
    twin.send({ ...HELLO, role: "companion" });
    await twin.next();
    expect(await twin.next()).toEqual({ type: "refused", reason: "role" });
    const self = await rawJoiner(port, identities.host);
    self.send(HELLO);
    await self.next();
    expect(await self.next()).toEqual(REFUSED);
    expect(kept.host).toEqual([]);
  });

  test("a host of the same role, before it is shown a proof", async () => {
    const { listener, port } = await listenerOf(await makeIdentity("twin"));
    const heard: unknown[] = [];
    const closed = Promise.withResolvers<void>();
    listener.setPairing((socket) => {
      socket.on("close", () => closed.resolve());
      socket.on("message", (data) => heard.push(JSON.parse(String(data)).type));
      socket.send(JSON.stringify({ ...HELLO, id: "A".repeat(22) }));
    });
    const joining = joinPairing({
      ...{ identity: await makeIdentity("j"), role: "agent", name: "j" },
      ...{ url: `https://127.0.0.1:${port}`, code: formatCode(newCode()) },
      store: async () => undefined,
    });
    await expectCode(joining, "ERR_CONFLICT");
    await closed.promise;
    expect(heard).toEqual(["hello"]);
  });

  test("a joiner that goes on talking while the person looks", async () => {
    const { host, port, identities } = await makeRig({
      mode: { kind: "compare", confirm: () => new Promise(() => undefined) },
    });
    const raw = await rawJoiner(port, identities.joiner);
    const nonce = newNonce();
    const { fingerprint } = identities.joiner;
    const commitment = commitTo("joiner", nonce, raw.exporter, fingerprint);
    raw.send({ ...HELLO, mode: "compare", commitment: Buffer.from(commitment).toString("base64") });
    raw.send({ type: "reveal", nonce: Buffer.from(nonce).toString("base64") });
    for (let sent = 0; sent < 10; sent += 1) raw.send({ type: "ready" });
    await expectCode(host.done, "ERR_DENIED");
  });

  test("the same role, another mode, another version, and oneself", async () => {
    const { host, join, port, identities, kept } = await makeRig();
    await expectCode(join({ role: "companion", code: host.code }), "ERR_CONFLICT");
    await expectCode(join({ confirm: async () => true }), "ERR_CONFLICT");
    await expectCode(join({ identity: identities.host, code: host.code }), "ERR_CONFLICT");
    const raw = await rawJoiner(port, identities.joiner);
    raw.send({ ...HELLO, version: 2 });
    await raw.next();
    expect(await raw.next()).toEqual({ type: "refused", reason: "version" });
    expect(kept).toEqual({ host: [], joiner: [] });
    await join({ code: host.code });
  });

  test.for<[string, string | Uint8Array]>([
    ["no JSON", "{"],
    ["an empty message", ""],
    ["a list", "[]"],
    ["a type that there is not", '{"type":"hallo"}'],
    ["an unknown member", JSON.stringify({ ...HELLO, more: 1 })],
    ["a member twice", `{"type":"ready",${JSON.stringify(HELLO).slice(1)}`],
    ["a lone surrogate", JSON.stringify(HELLO).replace("raw", "\\ud800")],
    ["bytes", Buffer.from(JSON.stringify(HELLO))],
    ["more than 8 KiB", JSON.stringify(HELLO).padEnd(8193)],
    ["more than the listener takes", " ".repeat(300_000)],
    ["ready before the proof", '{"type":"ready"}'],
    ["a proof of 31 bytes", JSON.stringify({ type: "proof", proof: "A".repeat(40) })],
    ["a refusal", '{"type":"refused","reason":"declined"}'],
  ])("%s; the code stays good", async ([, message]) => {
    // Long, so that nothing is refused for being late.
    const { host, join, port, identities } = await makeRig({ stepMs: 60_000 });
    const raw = await rawJoiner(port, identities.joiner);
    await raw.next();
    raw.send(message);
    let last = await raw.next();
    if (last) {
      expect(last).toEqual(REFUSED);
      last = await raw.next();
    }
    expect(last).toBeUndefined();
    await join({ code: host.code });
  });

  test("whoever says nothing, and a ninth at once", async () => {
    const { host, join, port, identities } = await makeRig({ stepMs: 1500 });
    const raws = [];
    for (let index = 0; index < 8; index += 1) raws.push(await rawJoiner(port, identities.joiner));
    await expectCode(join({ code: host.code }), "ERR_ACCESS_DENIED");
    for (const raw of raws) {
      await raw.next();
      await raw.next();
      expect(await raw.next()).toBeUndefined();
    }
    await join({ code: host.code });
  });

  test("bad arguments", async () => {
    const { host, join } = await makeRig();
    for (const options of [
      {},
      { code: "short" },
      { url: "ws://127.0.0.1:1", code: host.code },
      { url: "http://127.0.0.1:1", code: host.code },
      { url: "nowhere", code: host.code },
      { url: host.uri ?? "", code: host.code },
      { url: host.uri?.replace(/#.*/, "") ?? "" },
      { fingerprint: "x", code: host.code },
    ]) {
      const error = await expectCode(join(options), "ERR_INVALID_ARGUMENT");
      expect(error.message).not.toContain(host.code);
    }
    const bare = createPairingHost({
      identity: await makeIdentity("x"),
      ...{ role: "agent", name: "x", mode: { kind: "code" }, store: async () => undefined },
    });
    await expectCode(bare.qr(), "ERR_INVALID_ARGUMENT");
    bare.cancel();
  });

  test("nobody there", async () => {
    const { host, join, listener } = await makeRig();
    await listener.close();
    await expectCode(join({ code: host.code }), "ERR_UNAVAILABLE");
  });
});

describe("interrupted", () => {
  test("before both proofs hold: nobody keeps anything", async () => {
    const rig = await makeRig();
    const raw = await rawJoiner(rig.port, rig.identities.joiner);
    await prove(rig, raw);
    expect(await raw.next()).toMatchObject({ type: "proof" });
    raw.drop();
    await expectCode(rig.host.done, "ERR_UNAVAILABLE");
    expect(rig.kept.host).toEqual([]);
  });

  test("after the host kept its pin: it says so, and the next pairing replaces it", async () => {
    const rig = await makeRig();
    const raw = await rawJoiner(rig.port, rig.identities.joiner);
    await prove(rig, raw);
    raw.send({ type: "ready" });
    await raw.next();
    expect(await raw.next()).toEqual({ type: "stored" });
    raw.drop();
    const error = await expectCode(rig.host.done, "ERR_UNAVAILABLE");
    expect(error.context?.hint).toMatch(/[Pp]air it again/);
    expect(rig.kept.host).toHaveLength(1);
  });

  test("when a side cannot keep the pin", async () => {
    const full = new Error("disk full");
    const one = await makeRig({ store: () => Promise.reject(full) });
    await expectCode(one.join({ code: one.host.code }), "ERR_UNAVAILABLE");
    await expect(one.host.done).rejects.toBe(full);
    expect(one.kept.joiner).toEqual([]);
    const two = await makeRig();
    const failed = two.join({ code: two.host.code, store: () => Promise.reject(full) });
    await expect(failed).rejects.toBe(full);
    await expectCode(two.host.done, "ERR_UNAVAILABLE");
  });

  test("too late: while the pin is being kept neither time nor person ends it", async () => {
    const { promise: kept, resolve: keep } = Promise.withResolvers<void>();
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const store = (): Promise<void> => {
      ask();
      return kept;
    };
    const { host, join } = await makeRig({ validMs: 1500, store });
    const joining = join({ code: host.code });
    await asked;
    host.cancel();
    await new Promise((resolve) => setTimeout(resolve, 1600));
    keep();
    expect((await host.done).id).toBe((await joining).id);
  });

  test("by the person, on either side", async () => {
    const cancelled = await makeRig();
    cancelled.host.cancel();
    await expectCode(cancelled.host.done, "ERR_CLOSED");
    await expectCode(cancelled.join({ code: cancelled.host.code }), "ERR_ACCESS_DENIED");
    const reason = new Error("enough");
    const aborted = await makeRig({ signal: AbortSignal.abort(reason) });
    await expect(aborted.host.done).rejects.toBe(reason);
    const { host, join } = await makeRig();
    await expect(join({ code: host.code, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const later = new AbortController();
    const compared = await makeRig({
      mode: { kind: "compare", confirm: () => new Promise(() => undefined) },
    });
    const joining = compared.join({
      signal: later.signal,
      confirm: () => {
        later.abort(reason);
        return new Promise(() => undefined);
      },
    });
    await expect(joining).rejects.toBe(reason);
    await expectCode(compared.host.done, "ERR_DENIED");
  });
});

test("what a device calls itself cannot steer a terminal", async () => {
  const { host, join } = await makeRig({
    name: "\u001b]0;owned\u0007\u001b[31mred\u202e\u200b\nphone",
  });
  const joined = await join({ code: host.code, name: "\u0000\u0007" });
  expect(joined.name).toBe("red phone");
  expect((await host.done).name).toBe("unnamed");
  // Ours clean what they send; the other side need not.
  const rig = await makeRig();
  const raw = await rawJoiner(rig.port, rig.identities.joiner);
  await prove(rig, raw, undefined, "\u001b[2Jphone\u202e");
  raw.send({ type: "ready" });
  await raw.next();
  await raw.next();
  raw.send({ type: "done" });
  expect((await rig.host.done).name).toBe("phone");
});
