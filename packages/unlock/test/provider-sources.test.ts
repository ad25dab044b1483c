import { CryptoError, type CryptoErrorCode, type CryptoProvider } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { createUnlocker, type ProviderSlots, type SlotInfo } from "../src/index.ts";
import { failureOf, options, slots, temporaryFolder } from "./support.ts";

// What the providers themselves do is tried in the vault and in the command line, on real ones.
const URI = "pkcs11:object=vault";
const KEY = new Uint8Array(32).fill(7);

/** A slot whose provider does what it is told. */
const slot = (unwrap: () => Promise<Uint8Array<ArrayBuffer>>, uri = URI): SlotInfo => ({
  id: `slot of ${uri}`,
  kind: "provider",
  uri,
  unwrap,
});
const failing = (code: CryptoErrorCode, message = `it said ${code}`) =>
  slot(async () => {
    throw new CryptoError(code, message);
  });

function configured(ambient: Record<string, boolean> = { pkcs11: true }) {
  const asked: string[] = [];
  const providerSlots: ProviderSlots = {
    ambient,
    open: async (scheme) => {
      asked.push(scheme);
      return {} as CryptoProvider;
    },
  };
  return { asked, providerSlots };
}

const unlocker = (providerSlots: ProviderSlots | undefined, more = {}) =>
  createUnlocker(
    options(temporaryFolder(), { providerSlots, env: { LANGO_PASSPHRASE: "given" }, ...more }),
  );

describe("a provider slot", () => {
  test("gives what its provider unwraps, before any passphrase", async () => {
    const { asked, providerSlots } = configured();
    const slotInfos = [...slots("passphrase"), slot(async () => KEY.slice())];
    const { credential } = await unlocker(providerSlots).obtain(slotInfos);
    expect(credential).toMatchObject({
      kind: "provider",
      source: `provider slot ${URI}`,
      ambient: true,
      slotIds: [`slot of ${URI}`],
      secret: KEY,
    });
    expect(asked).toEqual(["pkcs11"]);
  });

  test.each([
    "ERR_UNAVAILABLE",
    "ERR_TIMEOUT",
    "ERR_CIRCUIT_OPEN",
    "ERR_RATE_LIMITED",
    "ERR_ACCESS_DENIED",
    "ERR_DENIED",
    "ERR_KEY_NOT_FOUND",
    "ERR_KEY_DISABLED",
    "ERR_PROVIDER_NOT_INSTALLED",
    "ERR_CONFIG",
  ] as const)("whose provider says %s is skipped with the reason", async (code) => {
    const slotInfos = [failing(code), ...slots("passphrase")];
    const { credential, skipped } = await unlocker(configured().providerSlots).obtain(slotInfos);
    expect(credential.source).toBe("LANGO_PASSPHRASE");
    const reason = `it said ${code}`;
    expect(skipped).toContainEqual({ source: `provider slot ${URI}`, reason });
  });

  test.each([
    ["ERR_UNAVAILABLE", true],
    ["ERR_TIMEOUT", true],
    ["ERR_CIRCUIT_OPEN", true],
    ["ERR_PROVIDER_NOT_INSTALLED", true],
    // What a credential of another kind may be given for, or a person may change.
    ["ERR_ACCESS_DENIED", false],
    ["ERR_KEY_DISABLED", false],
  ] as const)(
    "whose provider says %s is the error where nothing else counts: %s",
    async (code, isError) => {
      const expected = isError ? code : "ERR_LOCKED";
      const alone = unlocker(configured().providerSlots).obtain([failing(code)]);
      const failure = await failureOf(alone);
      expect(failure.code).toBe(expected);
      if (isError) expect(failure.message).toBe(`it said ${code} (from provider slot ${URI})`);
      const named = unlocker(configured().providerSlots, { unlockWith: "provider" });
      const both = [failing(code), ...slots("passphrase")];
      expect((await failureOf(named.obtain(both))).code).toBe(expected);
      // A passphrase could have been given.
      const without = unlocker(configured().providerSlots, { env: {} });
      expect((await failureOf(without.obtain(both))).code).toBe("ERR_LOCKED");
    },
  );

  test.each(["ERR_DECRYPTION_FAILED", "ERR_MALFORMED_ENVELOPE", "ERR_INTEGRITY"] as const)(
    "whose provider answers, and says %s, ends the search",
    async (code) => {
      const slotInfos = [failing(code), ...slots("passphrase")];
      const failure = await failureOf(unlocker(configured().providerSlots).obtain(slotInfos));
      expect(failure.code).toBe("ERR_WRONG_PASSPHRASE");
      expect(failure.message).toContain(URI);
    },
  );

  test("of which nobody is configured makes no provider", async () => {
    for (const uri of ["aws-kms:alias/evil", "constructor:x", "__proto__:x"]) {
      const { asked, providerSlots } = configured();
      const slotInfos = [slot(async () => KEY.slice(), uri), ...slots("passphrase")];
      const { skipped } = await unlocker(providerSlots)
        .obtain(slotInfos)
        .catch(() => ({ skipped: [] }));
      expect(asked).toEqual([]);
      expect(skipped.filter(({ reason }) => reason.endsWith("is configured"))).toHaveLength(
        uri.startsWith("_") ? 0 : 1,
      );
    }
  });

  test("of which there are several is asked in the order of the file, until one answers", async () => {
    const { asked, providerSlots } = configured({ pkcs11: true, "aws-kms": true });
    const slotInfos = [
      failing("ERR_UNAVAILABLE"),
      slot(async () => KEY.slice(), "aws-kms:alias/one"),
      slot(async () => KEY.slice(), "aws-kms:alias/two"),
    ];
    const { credential } = await unlocker(providerSlots).obtain(slotInfos);
    expect(credential.slotIds).toEqual(["slot of aws-kms:alias/one"]);
    expect(asked).toEqual(["pkcs11", "aws-kms"]);
  });

  test("is nobody's consent unless what opens it was given to this command", async () => {
    const slotInfos = [slot(async () => KEY.slice()), ...slots("passphrase")];
    const source = async (ambient: boolean) =>
      (
        await unlocker(configured({ pkcs11: ambient }).providerSlots, {
          skipAmbient: true,
        }).obtain(slotInfos)
      ).credential.source;
    expect(await source(true)).toBe("LANGO_PASSPHRASE");
    expect(await source(false)).toBe(`provider slot ${URI}`);
  });

  test("is described without asking its provider", async () => {
    const { asked, providerSlots } = configured();
    const described = { ...providerSlots, open: undefined };
    const slotInfos: SlotInfo[] = [{ id: "a", kind: "provider", uri: URI }];
    const lines = await unlocker(described).describe(slotInfos);
    expect(lines.at(-1)).toEqual({ source: `provider slot ${URI}`, state: "would use" });
    const without = await unlocker(undefined).describe(slotInfos);
    expect(without).toContainEqual({
      source: `provider slot ${URI}`,
      state: "skipped",
      reason: "no provider pkcs11 is configured",
    });
    expect(asked).toEqual([]);
  });

  test("a fault of the provider itself is an error", async () => {
    const slotInfos = [failing("ERR_INTERNAL"), ...slots("passphrase")];
    const failure = await failureOf(unlocker(configured().providerSlots).obtain(slotInfos));
    expect(failure.code).toBe("ERR_INTERNAL");
  });
});
