import type { CryptoErrorCode, UnwrapKeyRequest, WrapKeyRequest } from "@lango/crypto-core";
import {
  createOpenStream,
  createSealStream,
  MAX_VALUE_BYTES,
  open,
  parts,
  readValueHeader,
  seal,
  userAad,
} from "@lango/envelope";
import { describe, expect, it } from "vitest";
import {
  decodeRecipients,
  encodeRecipients,
  type RecipientEntry,
} from "../src/recipients-header.ts";
import { failing, localKeys, recipient, resolver, withoutWrapAad } from "./providers.ts";
import { bytes, codeOf, cut, errorOf, expectPlain, pattern, text, through } from "./support.ts";

const provider = localKeys("alpha", "beta");
const alpha = recipient(provider, "alpha");
const beta = recipient(provider, "beta");
const knowsBoth = resolver({ "local:alpha": alpha, "local:beta": beta });
const knowsBeta = resolver({ "local:beta": beta });
const aad = text("aad");
const plaintext = text("the value");
const sealForBoth = () => seal({ plaintext, aad, recipients: [alpha, beta] });
/** Where the inner LNG1 begins. */
const bodyOffset = (sealed: Uint8Array) => 9 + Buffer.from(sealed).readUInt32BE(5) + 32;

describe("seal and open", () => {
  it("opens with any one of the recipients", async () => {
    const sealed = await sealForBoth();
    expectPlain(sealed);
    for (const resolve of [knowsBoth, knowsBeta, resolver({ "local:alpha": alpha })]) {
      const opened = await open({ sealed, aad, resolve });
      expect(opened).toEqual(plaintext);
      expectPlain(opened);
    }
    expect(plaintext).toEqual(text("the value"));
  });

  it("takes absent and empty AAD as the same", async () => {
    const sealed = await seal({ plaintext, recipients: [alpha] });
    expect(await open({ sealed, aad: bytes(0), resolve: knowsBoth })).toEqual(plaintext);
    expect(userAad()).toEqual(userAad(bytes(0)));
    expect(userAad(aad)).toEqual(parts(text("lango/v1/user"), aad));
  });

  it("works where the provider's wrap has no AAD", async () => {
    const bare = withoutWrapAad(provider);
    const sealed = await seal({ plaintext, aad, recipients: [recipient(bare, "alpha")] });
    const resolve = resolver({ "local:alpha": { provider: bare, keyId: "alpha" } });
    expect(await open({ sealed, aad, resolve })).toEqual(plaintext);
  });

  it("binds data-key id and commitment in the AAD of the wrap", async () => {
    const seen: (Uint8Array | undefined)[] = [];
    const spy = {
      ...provider,
      wrapKey: (request: WrapKeyRequest) => {
        seen.push(request.aad);
        return provider.wrapKey!(request);
      },
      unwrapKey: (request: UnwrapKeyRequest) => {
        seen.push(request.aad);
        return provider.unwrapKey!(request);
      },
    };
    const sealed = await seal({ plaintext, aad, recipients: [recipient(spy, "alpha")] });
    const resolve = resolver({ "local:alpha": { provider: spy, keyId: "alpha" } });
    await open({ sealed, aad, resolve });
    const { dataKeyId, commitment } = readValueHeader(sealed.subarray(bodyOffset(sealed)));
    const expected = parts(text("lango/v1/dek"), dataKeyId, commitment);
    expect(seen).toEqual([expected, expected]);
  });

  it("passes the key version of the header to the look-up and the provider", async () => {
    const sealed = await seal({ plaintext, recipients: [alpha] });
    const versions: string[] = [];
    await open({
      sealed,
      resolve: async (_, keyVersion) => {
        versions.push(keyVersion);
        return alpha;
      },
    });
    expect(versions).toEqual(["1"]);
  });

  it("fails for each flipped byte, and asks no provider about a malformed one", async () => {
    const sealed = await sealForBoth();
    const first = bodyOffset(sealed);
    for (let i = 0; i < sealed.length; i++) {
      const altered = sealed.slice();
      altered[i]! ^= 1;
      const code = await codeOf(() => open({ sealed: altered, aad, resolve: knowsBoth }));
      // A flipped byte may also change the URI, which then belongs to nobody, or the version of the wrap.
      expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED"]).toContain(code);
      if (i >= first + 8) expect(code).toBe("ERR_DECRYPTION_FAILED");
    }
  });

  it("fails at each length", async () => {
    const sealed = await sealForBoth();
    for (let length = 0; length < sealed.length; length++) {
      const run = () => open({ sealed: sealed.subarray(0, length), aad, resolve: knowsBoth });
      expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED"]).toContain(await codeOf(run));
    }
  });

  it("asks nobody about a message that is too short for its value", async () => {
    const sealed = await seal({ plaintext: bytes(0), recipients: [alpha] });
    const asked: string[] = [];
    const run = () => open({ sealed: sealed.subarray(0, -1), resolve: resolver({}, asked) });
    expect(await codeOf(run)).toBe("ERR_MALFORMED_ENVELOPE");
    expect(asked).toEqual([]);
  });

  it("fails under other AAD", async () => {
    const sealed = await sealForBoth();
    for (const other of [undefined, text("AAD"), userAad(aad)]) {
      expect(await codeOf(() => open({ sealed, aad: other, resolve: knowsBoth }))).toBe(
        "ERR_DECRYPTION_FAILED",
      );
    }
  });

  it("detects by its MAC a list that was cut, extended or put in another order", async () => {
    const sealed = await sealForBoth();
    const macAt = bodyOffset(sealed) - 32;
    const [first, second] = decodeRecipients(sealed.subarray(0, macAt)) as [
      RecipientEntry,
      RecipientEntry,
    ];
    const withEntries = (...entries: RecipientEntry[]) =>
      new Uint8Array(Buffer.concat([encodeRecipients(entries), sealed.subarray(macAt)]));
    const added = { uri: "local:mallory", keyVersion: "1", wrappedKey: bytes(60, 1) };
    expect(withEntries(first, second)).toEqual(sealed);
    for (const altered of [
      withEntries(first),
      withEntries(second),
      withEntries(second, first),
      withEntries(first, second, added),
      withEntries({ ...first, keyVersion: "01" }, second),
    ]) {
      expect(await codeOf(() => open({ sealed: altered, aad, resolve: knowsBoth }))).toBe(
        "ERR_DECRYPTION_FAILED",
      );
    }
  });

  it("does not take the recipients of another message", async () => {
    const [one, two] = [await sealForBoth(), await sealForBoth()];
    const [at1, at2] = [bodyOffset(one), bodyOffset(two)];
    const spliced = Buffer.concat([one.subarray(0, at1), two.subarray(at2)]);
    for (const by of [provider, withoutWrapAad(provider)]) {
      const resolve = resolver({ "local:alpha": { provider: by, keyId: "alpha" } });
      expect(await codeOf(() => open({ sealed: spliced, aad, resolve }))).toBe(
        "ERR_DECRYPTION_FAILED",
      );
    }
  });

  it("refuses an unwrapped key that is not the committed one", async () => {
    const sealed = await seal({ plaintext, aad, recipients: [alpha] });
    for (const length of [0, 16, 31, 32, 33]) {
      const liar = { ...provider, unwrapKey: async () => bytes(length, 9) };
      const resolve = resolver({ "local:alpha": { provider: liar, keyId: "alpha" } });
      expect(await codeOf(() => open({ sealed, aad, resolve }))).toBe("ERR_DECRYPTION_FAILED");
    }
  });

  it("is a message for nobody here: ERR_KEY_NOT_FOUND that names the recipients", async () => {
    const sealed = await sealForBoth();
    const error = await errorOf(() => open({ sealed, aad, resolve: resolver({}) }));
    expect(error.code).toBe("ERR_KEY_NOT_FOUND");
    expect(error.context.hint).toBe("Recipients: local:alpha, local:beta");
  });
});

describe("the order of recipients", () => {
  it("asks in the order of the header and stops at the first that answers", async () => {
    const asked: string[] = [];
    const resolve = resolver({ "local:alpha": alpha, "local:beta": beta }, asked);
    await open({ sealed: await sealForBoth(), aad, resolve });
    expect(asked).toEqual(["local:alpha"]);
  });

  it.each<CryptoErrorCode>([
    "ERR_UNAVAILABLE",
    "ERR_TIMEOUT",
    "ERR_CIRCUIT_OPEN",
    "ERR_RATE_LIMITED",
  ])("goes on after %s, and reports it when nobody answers", async (code) => {
    const sealed = await sealForBoth();
    const down = { provider: failing(provider, code), keyId: "alpha" };
    const resolve = resolver({ "local:alpha": down, "local:beta": beta });
    expect(await open({ sealed, aad, resolve })).toEqual(plaintext);
    const nobody = resolver({ "local:alpha": down });
    expect(await codeOf(() => open({ sealed, aad, resolve: nobody }))).toBe(code);
  });

  it.each<CryptoErrorCode>([
    "ERR_DECRYPTION_FAILED",
    "ERR_ACCESS_DENIED",
    "ERR_KEY_DISABLED",
    "ERR_KEY_NOT_FOUND",
    "ERR_UNSUPPORTED",
    "ERR_INTERNAL",
  ])("ends at %s", async (code) => {
    const calls = { count: 0 };
    const resolve = resolver({
      "local:alpha": { provider: failing(provider, code), keyId: "alpha" },
      "local:beta": { provider: failing(provider, "ERR_INTERNAL", calls), keyId: "beta" },
    });
    const sealed = await sealForBoth();
    expect(await codeOf(() => open({ sealed, aad, resolve }))).toBe(code);
    expect(calls.count).toBe(0);
  });
});

describe("limits of recipients", () => {
  it("takes 16 recipients, and not 0, 17 or one twice", async () => {
    const ids = Array.from({ length: 17 }, (_, i) => `key${i}`);
    const many = localKeys(...ids);
    const recipients = ids.map((id) => recipient(many, id));
    const sealed = await seal({ plaintext, recipients: recipients.slice(0, 16) });
    const resolve = resolver({ "local:key15": { provider: many, keyId: "key15" } });
    expect(await open({ sealed, resolve })).toEqual(plaintext);
    for (const wrong of [[], recipients, [alpha, alpha]]) {
      expect(await codeOf(() => seal({ plaintext, recipients: wrong }))).toBe(
        "ERR_INVALID_ARGUMENT",
      );
    }
  });

  it("refuses key URIs that may not be stored", async () => {
    for (const uri of ["", "local", "local:", "pkcs11:object=k;pin-value=1234", "local:a\nb"]) {
      const recipients = [{ ...alpha, uri }];
      expect(await codeOf(() => seal({ plaintext, recipients }))).toBe("ERR_INVALID_ARGUMENT");
    }
  });

  it("refuses more than 64 KiB of recipients", async () => {
    const entry = (uri: string, length: number) => ({
      uri,
      keyVersion: "1",
      wrappedKey: bytes(length, 1),
    });
    const overhead = 2 + 7 + 2 + 1 + 4;
    expect(encodeRecipients([entry("local:a", 65_536 - overhead)])).toHaveLength(65_545);
    const tooLong = [entry("local:a", 65_537 - overhead)];
    expect(await codeOf(() => encodeRecipients(tooLong))).toBe("ERR_INVALID_ARGUMENT");
  });

  it("refuses a provider that cannot wrap or unwrap", async () => {
    const { wrapKey: _, unwrapKey: __, ...neither } = provider;
    const recipients = [recipient(neither, "alpha")];
    expect(await codeOf(() => seal({ plaintext, recipients }))).toBe("ERR_UNSUPPORTED");
    const resolve = resolver({ "local:alpha": { provider: neither, keyId: "alpha" } });
    const sealed = await sealForBoth();
    expect(await codeOf(() => open({ sealed, aad, resolve }))).toBe("ERR_UNSUPPORTED");
  });

  it("seals for all recipients or not at all", async () => {
    const broken = {
      ...provider,
      wrapKey: async () => Promise.reject(new TypeError("a bug")),
    };
    const recipients = [alpha, recipient(broken, "beta")];
    await expect(seal({ plaintext, recipients })).rejects.toThrow("a bug");
  });

  it("refuses more than 64 MiB", async () => {
    const run = () => seal({ plaintext: bytes(MAX_VALUE_BYTES + 1), recipients: [alpha] });
    expect(await codeOf(run)).toBe("ERR_INVALID_ARGUMENT");
  });
});

describe("abort", () => {
  it("rejects with the reason, before and during", async () => {
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    const sealed = await sealForBoth();
    await expect(seal({ plaintext, recipients: [alpha], signal: aborted })).rejects.toBe(reason);
    await expect(open({ sealed, aad, resolve: knowsBoth, signal: aborted })).rejects.toBe(reason);

    const controller = new AbortController();
    const { signal } = controller;
    const lateKey = bytes(32, 9);
    const late = {
      ...provider,
      unwrapKey: async () => {
        controller.abort(reason);
        return lateKey;
      },
    };
    const resolve = resolver({ "local:alpha": { provider: late, keyId: "alpha" } });
    await expect(open({ sealed, aad, resolve, signal })).rejects.toBe(reason);
    expect(lateKey).toEqual(bytes(32, 0));
  });
});

describe("streams for recipients", () => {
  const long = pattern(300_000);

  it("opens what it sealed, however the bytes arrive", async () => {
    const sealed = await through(createSealStream({ aad, recipients: [alpha, beta] }), [long]);
    const places = [1, 8, 9, 10, 150, 200, 250, 300, 65_000, 200_000];
    const opened = await through(
      createOpenStream({ aad, resolve: knowsBeta }),
      cut(sealed, places),
    );
    expect(Buffer.compare(opened, long)).toBe(0);
    const start = sealed.subarray(0, 400);
    const bytewise = [
      ...Array.from(start, (_, i) => start.subarray(i, i + 1)),
      sealed.subarray(400),
    ];
    const again = await through(createOpenStream({ aad, resolve: knowsBeta }), bytewise);
    expect(Buffer.compare(again, long)).toBe(0);
  });

  it("opens either body through either door", async () => {
    const value = await sealForBoth();
    expect(
      await through(createOpenStream({ aad, resolve: knowsBoth }), cut(value, [50, 300])),
    ).toEqual(plaintext);
    const stream = await through(createSealStream({ aad, recipients: [alpha] }), [long]);
    expect(Buffer.compare(await open({ sealed: stream, aad, resolve: knowsBoth }), long)).toBe(0);
  });

  it("fails with typed errors at each length of the header, and for altered ones", async () => {
    const sealed = await through(createSealStream({ aad, recipients: [alpha] }), [plaintext]);
    for (let length = 0; length < sealed.length; length++) {
      const run = () =>
        through(createOpenStream({ aad, resolve: knowsBoth }), [sealed.subarray(0, length)]);
      expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED"]).toContain(await codeOf(run));
    }
    for (let i = 0; i < sealed.length; i++) {
      const altered = sealed.slice();
      altered[i]! ^= 1;
      const run = () => through(createOpenStream({ aad, resolve: knowsBoth }), [altered]);
      expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED", "ERR_KEY_NOT_FOUND"]).toContain(
        await codeOf(run),
      );
    }
  });

  it("fails when the key cannot be wrapped", async () => {
    const transform = createSealStream({ recipients: [] });
    expect(await codeOf(() => through(transform, [plaintext]))).toBe("ERR_INVALID_ARGUMENT");
  });
});
