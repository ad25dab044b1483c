import { generateKeyPairSync, randomBytes } from "node:crypto";
import {
  type ApprovalStatement,
  approvalBytes,
  type Channel,
  createCompanionSurface,
  type MethodName,
  type Params,
  signApproval,
  verifyApproval,
} from "@lango/companion";
import { type Bytes, fromBase64, isCryptoError, toPlain } from "@lango/crypto-core";
import { describe, expect, test, vi } from "vitest";
import { sha256 } from "../src/signer/hash.ts";
import { makeRig, newId, newPeer } from "./support/signer.ts";

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const bytes = (length: number): Bytes => new Uint8Array(randomBytes(length));

const newDevice = () => {
  const { privateKey, publicKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = toPlain(key.export({ type: "spki", format: "der" }));
  return {
    privateKey,
    publicKey,
    fingerprint: Buffer.from(sha256(publicKey)).toString("base64url"),
  };
};

const statement: ApprovalStatement = {
  id: newId(),
  binding: bytes(32),
  commitment: bytes(32),
  summary: ["Send 5 USDC", "to 0x35…"],
  dangerous: true,
  expiresAt: 2_000_000,
  approved: true,
  decidedAt: 1_000_000,
};

describe("the signature", () => {
  test("holds for this answer of this device, and for nothing else", () => {
    const device = newDevice();
    const signature = signApproval(device.privateKey, statement);
    expect(signature).toHaveLength(64);
    expect(verifyApproval(device, statement, signature)).toBe(true);
    const others: Partial<ApprovalStatement>[] = [
      { id: newId() },
      { binding: bytes(32) },
      { commitment: bytes(32) },
      { summary: ["Send 5 USDCto 0x35…"] },
      { summary: ["Send 5 USDC"] },
      { summary: [] },
      { dangerous: false },
      { approved: false },
      { expiresAt: 2_000_001 },
      { decidedAt: 1_000_001 },
      // The digits of one are not those of the other.
      { decidedAt: 10_000_002, expiresAt: 0 },
    ];
    for (const other of others) {
      expect(verifyApproval(device, { ...statement, ...other }, signature)).toBe(false);
    }
    for (const at of [0, 31, 32, 63]) {
      const altered = signature.slice();
      altered[at]! ^= 1;
      expect(verifyApproval(device, statement, altered)).toBe(false);
    }
    expect(verifyApproval(device, statement, signature.subarray(1))).toBe(false);
    const stranger = newDevice();
    expect(verifyApproval(stranger, statement, signature)).toBe(false);
    const { fingerprint } = device;
    expect(verifyApproval({ ...stranger, fingerprint }, statement, signature)).toBe(false);
    // A key that no pin speaks of: not even parsed.
    expect(verifyApproval({ fingerprint, publicKey: bytes(8) }, statement, signature)).toBe(false);
  });

  test("is over the bytes that docs/companion-protocol.md tells", () => {
    const text = (value: string) =>
      Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(value)]);
    const u32 = (value: number) => Buffer.from([0, 0, value >> 8, value & 255]);
    const summary = Buffer.concat([u32(2), ...statement.summary.map(text)]);
    const wanted = Buffer.concat([
      u32(9),
      text("lango/v1/approval"),
      u32(32),
      statement.binding,
      u32(32),
      statement.commitment,
      u32(summary.length),
      summary,
      text("dangerous"),
      text("yes"),
      text("1000000"),
      text("2000000"),
      text(statement.id),
    ]);
    expect(Buffer.from(approvalBytes(statement)).equals(wanted)).toBe(true);
  });
});

/** A channel to a signer in this process: what the other side does is real, TLS is another test's. */
const channelTo = async (answer: (approved: boolean) => boolean, clock?: () => number) => {
  const device = newDevice();
  const rig = await makeRig({
    identity: device,
    prompter: { ask: async () => answer(true) },
    ...(clock && { clock }),
  });
  const binding = bytes(32);
  const channel: Channel = {
    peer: { ...newPeer("pocket"), role: "companion", fingerprint: device.fingerprint },
    publicKey: device.publicKey,
    binding,
    call: <M extends MethodName>(method: M, params: Params<M>, { id = newId() } = {}) =>
      rig.ask({ method, params, id, binding }),
    closed: new Promise(() => {}),
    close: async () => {},
  };
  return { channel, rig, device };
};

const request = () => ({
  commitment: bytes(32),
  summary: ["Send 5 USDC", "to \u202e0x35"],
  dangerous: true,
  expiresAt: Date.now() + 60_000,
});

describe("the surface", () => {
  const signal = new AbortController().signal;

  test.each([true, false])("asks the companion; the evidence proves the answer %s", async (yes) => {
    const { channel, rig, device } = await channelTo(() => yes);
    const surface = createCompanionSurface({ channel: () => channel });
    const asked = request();
    expect(surface.counts(asked)).toBe(true);
    const { evidence, ...answer } = await surface.ask(asked, signal);
    expect(answer).toEqual({ approved: yes, scope: "once", by: "pocket" });
    expect(rig.questions[0]).toMatchObject({
      dangerous: true,
      expiresAt: asked.expiresAt,
      lines: ["Device: laptop", "Asks for: approval.request", "Send 5 USDC", "to \\u{202e}0x35"],
    });
    const kept = JSON.parse(new TextDecoder().decode(evidence));
    const [signature, publicKey, commitment, binding] = [
      kept.signature,
      kept.publicKey,
      kept.commitment,
      kept.binding,
    ].map((base64) => fromBase64(base64)!);
    expect(commitment).toEqual(asked.commitment);
    const proven = { ...kept, commitment, binding };
    const { fingerprint } = device;
    expect(verifyApproval({ fingerprint, publicKey: publicKey! }, proven, signature!)).toBe(true);
    proven.approved = !yes;
    expect(verifyApproval({ fingerprint, publicKey: publicKey! }, proven, signature!)).toBe(false);
  });

  test("without a companion it counts for nothing and fails at once", async () => {
    const surface = createCompanionSurface({ channel: () => undefined });
    expect(surface.counts(request())).toBe(false);
    await expect(surface.ask(request(), signal)).rejects.toEqual(code("ERR_UNAVAILABLE"));
  });

  test("a yes that was a no, or of another request, connection or device, is no answer", async () => {
    const { channel } = await channelTo(() => false);
    const { channel: other } = await channelTo(() => true);
    const forged = (change: object): Channel => ({
      ...channel,
      call: async (...args) => ({ ...(await channel.call(...args)), ...change }) as never,
    });
    for (const wrong of [
      forged({ approved: true }),
      forged({ decidedAt: 5 }),
      forged({ signature: bytes(64) }),
      { ...channel, binding: bytes(32) },
      { ...channel, publicKey: other.publicKey },
      { ...channel, peer: other.peer },
      { ...channel, call: other.call },
      // Another request's answer.
      { ...channel, call: (method, params) => channel.call(method, params, { id: newId() }) },
    ] satisfies Channel[]) {
      const surface = createCompanionSurface({ channel: () => wrong });
      await expect(surface.ask(request(), signal)).rejects.toEqual(code("ERR_INTEGRITY"));
    }
  });

  test("expired before, while and after the person is asked", async () => {
    const asked = request();
    let now = asked.expiresAt;
    const { channel, rig } = await channelTo(
      () => {
        now = asked.expiresAt;
        return true;
      },
      () => now,
    );
    const call = vi.spyOn(channel, "call");
    const late = createCompanionSurface({ channel: () => channel, clock: () => now });
    await expect(late.ask(asked, signal)).rejects.toEqual(code("ERR_APPROVAL_TIMEOUT"));
    expect(call).not.toHaveBeenCalled();
    const early = createCompanionSurface({ channel: () => channel, clock: () => 0 });
    await expect(early.ask(asked, signal)).rejects.toEqual(code("ERR_APPROVAL_TIMEOUT"));
    expect(rig.questions).toHaveLength(0);
    now -= 1000;
    await expect(early.ask(asked, signal)).rejects.toEqual(code("ERR_APPROVAL_TIMEOUT"));
    expect(rig.questions).toHaveLength(1);
    const inTime = await channelTo(() => true);
    const slow = createCompanionSurface({
      channel: () => inTime.channel,
      clock: (() => {
        const times = [0, asked.expiresAt];
        return () => times.shift() ?? 0;
      })(),
    });
    await expect(slow.ask(asked, signal)).rejects.toEqual(code("ERR_APPROVAL_TIMEOUT"));
  });

  test("a summary that does not fit is refused here, before it is sent", async () => {
    const { channel, rig } = await channelTo(() => true);
    const surface = createCompanionSurface({ channel: () => channel });
    for (const summary of [Array(33).fill("x"), ["x".repeat(1001)]]) {
      const failed = await surface.ask({ ...request(), summary }, signal).catch((error) => error);
      expect(isCryptoError(failed) && failed.code).toBe("ERR_INVALID_ARGUMENT");
    }
    expect(rig.questions).toEqual([]);
  });

  test("without an identity the companion signs no approvals", async () => {
    const rig = await makeRig();
    const asked = { method: "approval.request", params: request() } as const;
    await expect(rig.ask(asked)).rejects.toEqual(code("ERR_UNSUPPORTED"));
  });
});
