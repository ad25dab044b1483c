import type { Prompter, Question } from "@lango/companion";
import { utf8 } from "@lango/crypto-core";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { escapeText } from "../src/signer/text.ts";
import { makeRig, newId, newPeer } from "./support/signer.ts";

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const sign = (text: string, id = newId()) =>
  ({ method: "sign", params: { keyId: "sign", message: utf8(text) }, id }) as const;

/** A prompter that is answered by the test, question by question. */
const byHand = () => {
  const open: { question: Question; signal: AbortSignal; answer: (yes: boolean) => void }[] = [];
  const prompter: Prompter = {
    ask: (question, signal) =>
      new Promise((resolve, reject) => {
        open.push({ question, signal, answer: resolve });
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  };
  return { prompter, open };
};

describe("what a person sees", () => {
  test("the device, the method, the key, size and hash, and the text", async () => {
    const rig = await makeRig();
    await rig.ask(sign("deploy 1.2.3"));
    expect(rig.questions[0]).toMatchObject({
      method: "sign",
      keyId: "sign",
      dangerous: false,
      lines: [
        "Device: laptop",
        "Asks for: sign, key sign",
        "Message: 12 bytes, SHA-256 af71eccbaba01e1e06e8ad09e0d6ce94f02a415654721b401f34432ecff096a3",
        "It says: deploy 1.2.3",
      ],
    });
  });

  test("a digest as it is, bytes that are no text by their hash alone, a long text cut", async () => {
    const rig = await makeRig();
    const digest = new Uint8Array(32).fill(0xab);
    await rig.ask({ method: "sign", params: { keyId: "sign", digest } });
    await rig.ask({ method: "sign", params: { keyId: "sign", message: digest } });
    await rig.ask(sign("é".repeat(1500)));
    const [first, second, third] = rig.questions.map(({ lines }) => lines.slice(2));
    expect(first).toEqual([`Digest: ${"ab".repeat(32)}; what it is of cannot be seen here`]);
    expect(second).toEqual([expect.stringMatching(/^Message: 32 bytes, SHA-256 [0-9a-f]{64}$/)]);
    expect(third?.[1]).toBe(`It says: ${"é".repeat(1000)} … and 500 more characters`);
  });

  test("what others wrote can neither move the cursor nor turn the text around", async () => {
    const evil =
      "ok\u001b[2K\r\u009b1mYes\u202egnp.exe\u2066\u2028\u00a0\u200b\\u{1b}\u0000\u{e0041}";
    const rig = await makeRig();
    await rig.ask({ ...sign(evil), peer: newPeer(`lap\u001b[31mtop\u202e`) });
    const lines = rig.questions[0]?.lines ?? [];
    for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]*$/);
    expect(lines[0]).toBe("Device: lap\\u{1b}[31mtop\\u{202e}");
    expect(lines[3]).toBe(
      "It says: ok\\u{1b}[2K\\u{d}\\u{9b}1mYes\\u{202e}gnp.exe\\u{2066}\\u{2028}\\u{a0}\\u{200b}\\\\u{1b}\\u{0}\\u{e0041}",
    );
  });

  test("two texts are never shown alike, and none has a control or format character", () => {
    const text = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(escapeText(a)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        expect(escapeText(a) === escapeText(b)).toBe(a === b);
      }),
    );
    // What is drawn as nothing, though it is a letter.
    expect(escapeText("a\u3164\u115f")).toBe("a\\u{3164}\\u{115f}");
    // A surrogate alone, as a cut leaves it, and beside another.
    expect(escapeText("\ud83d")).toBe("\\u{d83d}");
  });
});

describe("asking", () => {
  test("a no is ERR_DENIED, and so is nobody to ask; nothing is signed", async () => {
    const no = await makeRig({ prompter: { ask: async () => false } });
    await expect(no.ask(sign("x"))).rejects.toEqual(code("ERR_DENIED"));
    const odd = await makeRig({ prompter: { ask: async () => "yes" as unknown as boolean } });
    await expect(odd.ask(sign("x"))).rejects.toEqual(code("ERR_DENIED"));
    expect(no.heartbeats).toEqual({ open: 0, begun: 1 });
    const decrypt = { keyId: "seal", ciphertext: new Uint8Array(40) };
    await expect(no.ask({ method: "decrypt", params: decrypt })).rejects.toEqual(
      code("ERR_DENIED"),
    );
    expect(no.heartbeats).toEqual({ open: 0, begun: 2 });
  });

  test("one question at a time, in their order; heartbeats run for those that wait", async () => {
    const { prompter, open } = byHand();
    const rig = await makeRig({ prompter });
    const answers = ["a", "b", "c"].map((text) => rig.ask(sign(text)));
    await vi.waitFor(() => expect(rig.heartbeats.open).toBe(3));
    await vi.waitFor(() => expect(open).toHaveLength(1));
    open[0]?.answer(true);
    await answers[0];
    await vi.waitFor(() => expect(open).toHaveLength(2));
    expect(rig.heartbeats.open).toBe(2);
    open[1]?.answer(false);
    await expect(answers[1]).rejects.toEqual(code("ERR_DENIED"));
    await vi.waitFor(() => expect(open).toHaveLength(3));
    open[2]?.answer(true);
    await answers[2];
    expect(open.map(({ question }) => question.lines[3])).toEqual([
      "It says: a",
      "It says: b",
      "It says: c",
    ]);
    expect(rig.heartbeats).toEqual({ open: 0, begun: 3 });
  });

  test("an abort withdraws the question, shown or not, and nothing is signed later", async () => {
    const { prompter, open } = byHand();
    const rig = await makeRig({ prompter });
    const gone = new Error("gone");
    const [shown, queued] = [new AbortController(), new AbortController()];
    const first = rig.ask({ ...sign("first"), signal: shown.signal });
    const second = rig.ask({ ...sign("second"), signal: queued.signal });
    const third = rig.ask(sign("third"));
    await vi.waitFor(() => expect(open).toHaveLength(1));
    queued.abort(gone);
    await expect(second).rejects.toBe(gone);
    expect(open).toHaveLength(1);
    shown.abort(gone);
    await expect(first).rejects.toBe(gone);
    expect(open[0]?.signal.aborted).toBe(true);
    await vi.waitFor(() => expect(open).toHaveLength(2));
    expect(open[1]?.question.lines[3]).toBe("It says: third");
    open[1]?.answer(true);
    await third;
    expect(rig.events.map(({ outcome }) => outcome)).toEqual(["aborted", "aborted", "ok"]);
    expect(rig.heartbeats.open).toBe(0);
  });

  test("a yes that comes after the request was given up signs nothing", async () => {
    // A prompter that does not hear the signal, and says yes in the end.
    const late = Promise.withResolvers<boolean>();
    const rig = await makeRig({ prompter: { ask: () => late.promise } });
    const gone = new AbortController();
    const id = newId();
    const first = rig.ask({ ...sign("x", id), signal: gone.signal });
    await vi.waitFor(() => expect(rig.questions).toHaveLength(1));
    gone.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    late.resolve(true);
    // The id is free: it is asked again, and not taken for answered.
    await rig.ask(sign("x", id));
    expect(rig.questions).toHaveLength(2);
    expect(rig.events.map(({ outcome }) => outcome)).toEqual(["aborted", "ok"]);
  });

  test("who comes back under the same id waits for the same question", async () => {
    const { prompter, open } = byHand();
    const rig = await makeRig({ prompter });
    const lost = new AbortController();
    const id = newId();
    const first = rig.ask({ ...sign("x", id), signal: lost.signal });
    await vi.waitFor(() => expect(open).toHaveLength(1));
    const retry = rig.ask(sign("x", id));
    expect(rig.heartbeats).toEqual({ open: 2, begun: 2 });
    lost.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    expect(rig.heartbeats.open).toBe(1);
    open[0]?.answer(true);
    await retry;
    expect(open).toHaveLength(1);
    expect(rig.heartbeats.open).toBe(0);
  });

  test("the question has a deadline of its own", async () => {
    const { prompter, open } = byHand();
    const rig = await makeRig({ prompter, questionTimeoutMs: 20 });
    await expect(rig.ask(sign("x"))).rejects.toEqual(code("ERR_APPROVAL_TIMEOUT"));
    expect(open[0]?.signal.aborted).toBe(true);
    expect(rig.heartbeats.open).toBe(0);
  });

  test("a yes after the deadline is none, even when the timer was late", async () => {
    let now = 1000;
    const prompter: Prompter = {
      ask: async () => {
        now += 120_000;
        return true;
      },
    };
    const rig = await makeRig({ prompter, clock: () => now });
    await expect(rig.ask(sign("x"))).rejects.toEqual(code("ERR_APPROVAL_TIMEOUT"));
  });

  test("one device cannot bury the questions of another", async () => {
    const { prompter, open } = byHand();
    const rig = await makeRig({ prompter });
    const stop = new AbortController();
    const flood = Array.from({ length: 8 }, (_, i) =>
      rig.ask({ ...sign(`${i}`), signal: stop.signal }).catch(() => undefined),
    );
    await vi.waitFor(() => expect(rig.heartbeats.open).toBe(8));
    await expect(rig.ask(sign("9"))).rejects.toEqual(code("ERR_RATE_LIMITED"));
    const other = rig.ask({ ...sign("other"), peer: newPeer("phone") });
    await vi.waitFor(() => expect(rig.heartbeats.open).toBe(9));
    stop.abort(new Error("gone"));
    await Promise.all(flood);
    await vi.waitFor(() => expect(open).toHaveLength(2));
    open[1]?.answer(true);
    await other;
  });
});
