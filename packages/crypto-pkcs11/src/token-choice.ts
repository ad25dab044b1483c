import { fail } from "./errors.ts";
import type { TokenFacts } from "./protocol.ts";
import type { KeyName } from "./uri.ts";

/** Which token a provider works with. Everything that is given has to fit. */
export interface TokenChoice {
  /** The slot with this number, or else the token with this index (from 0) among those that are initialised. */
  readonly slotId?: number | undefined;
  readonly label?: string | undefined;
  readonly serial?: string | undefined;
}

/** How the token was found. */
export type FoundBy = "slot number" | "index of the slot" | "label and serial" | "only token";

export interface ChosenToken {
  readonly token: TokenFacts;
  readonly by: FoundBy;
}

/**
 * Chooses the token. Numbers of slots are not stable (SoftHSM gives a new one when a token is initialised), so a label or
 * a serial number is the better name.
 *
 * @throws {@link CryptoError} `ERR_UNAVAILABLE` if it is not there, which a token that is plugged in mends; `ERR_CONFIG` if
 *   several fit.
 */
export function chooseToken(
  tokens: readonly TokenFacts[],
  { slotId, label, serial }: TokenChoice,
): ChosenToken {
  const usable = tokens.filter(({ initialized }) => initialized);
  const fits = (token: TokenFacts): boolean =>
    (label === undefined || token.label === label) &&
    (serial === undefined || token.serial === serial);
  if (slotId !== undefined) {
    const bySlot = usable.find((token) => token.slotId === slotId);
    const token = bySlot ?? usable[slotId];
    if (token === undefined) throw absent(`in slot ${slotId}`, usable);
    if (!fits(token)) throw absent(`"${label ?? serial}" in slot ${slotId}`, usable);
    return { token, by: bySlot === undefined ? "index of the slot" : "slot number" };
  }
  const [token, another] = usable.filter(fits);
  const named = label !== undefined || serial !== undefined;
  if (token === undefined) throw absent(named ? `"${label ?? serial}"` : "", usable);
  if (another !== undefined) {
    throw fail("ERR_CONFIG", `The module has several tokens: ${list(usable)}`, {
      hint: "Name one by its label, its serial number or its slot",
    });
  }
  return { token, by: named ? "label and serial" : "only token" };
}

/** Whether the attributes of a key id that concern tokens fit a token. */
export function namesToken(name: KeyName, token: TokenFacts): boolean {
  return (["serial", "manufacturer", "model"] as const)
    .map((attribute) => [name[attribute], token[attribute]])
    .concat([[name.token, token.label]])
    .every(([wanted, found]) => wanted === undefined || wanted === found);
}

const absent = (which: string, usable: readonly TokenFacts[]): Error =>
  fail(
    "ERR_UNAVAILABLE",
    `The module has no initialised token ${which}`.trimEnd() +
      (usable.length === 0 ? "" : `; it has ${list(usable)}`),
  );

const list = (tokens: readonly TokenFacts[]): string =>
  tokens
    .map(({ label, serial, slotId }) => `"${label}" (serial ${serial}, slot ${slotId})`)
    .join(", ");
