import { CryptoError, isCryptoError, isUnavailable, parseKeyUri } from "@lango/crypto-core";
import { type Attempt, found, type Source, skipped } from "./source.ts";
import type { Surroundings } from "./surroundings.ts";
import type { ProviderSlots, SlotInfo } from "./types.ts";

/** A source for each provider slot, in the order of the slot file. One line where the vault has none. */
export const providerSlotSources = (
  { providerSlots }: Surroundings,
  slots: readonly SlotInfo[],
): Source[] => {
  const sources = slots.flatMap((slot) =>
    slot.kind === "provider" ? [providerSlot(providerSlots, slot)] : [],
  );
  return sources.length > 0 ? sources : [NONE];
};

/** Passed over before it is asked, since there is no slot. */
const NONE: Source = {
  name: "provider slot",
  kinds: ["provider"],
  ambient: true,
  take: async () => skipped("the vault has no provider slot"),
};

function providerSlot(configured: ProviderSlots | undefined, slot: SlotInfo): Source {
  const { id, uri = "" } = slot;
  const { scheme } = parseKeyUri(uri);
  const name = `${NONE.name} ${uri}`;
  // What the slot says is a look-up key: it never makes a provider.
  const isConfigured = Object.hasOwn(configured?.ambient ?? {}, scheme);
  const away = isConfigured ? undefined : `no provider ${scheme} is configured`;
  return {
    name,
    kinds: ["provider"],
    opens: { what: name, fits: (each) => each.id === id },
    ambient: configured?.ambient[scheme] ?? true,
    async take() {
      if (away !== undefined) return skipped(away);
      if (configured?.open === undefined || slot.unwrap === undefined) {
        return skipped("slots are only described here");
      }
      try {
        return found(await slot.unwrap(await configured.open(scheme)));
      } catch (error) {
        return passedOver(error, name);
      }
    },
    look: async () => away,
  };
}

/** What a provider says about a wrapped key that is not one of its own. */
const OPENS_NOTHING: readonly string[] = [
  "ERR_DECRYPTION_FAILED",
  "ERR_MALFORMED_ENVELOPE",
  "ERR_INTEGRITY",
];

/** A provider that cannot be reached, has no such key any more or refuses its use is passed over, as an absent file is. */
function passedOver(error: unknown, name: string): Attempt {
  if (!isCryptoError(error) || error.code === "ERR_INTERNAL") throw error;
  const { code, message, context } = error;
  if (OPENS_NOTHING.includes(code)) {
    throw new CryptoError(
      "ERR_WRONG_PASSPHRASE",
      `The provider does not unwrap the key of the slot (from ${name})`,
      { cause: error },
    );
  }
  if (!isUnavailable(error) && code !== "ERR_PROVIDER_NOT_INSTALLED") return skipped(message);
  const failure = new CryptoError(code, `${message} (from ${name})`, { context, cause: error });
  return { state: "skipped", reason: message, failure };
}
