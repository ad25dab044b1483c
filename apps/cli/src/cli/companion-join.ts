import { closeSync, readFileSync } from "node:fs";
import type {
  CompanionAddress,
  ConfirmDigits,
  JoinPairingOptions,
  PairedPeer,
} from "@lango/companion";
import { CryptoError, zero } from "@lango/crypto-core";
import { confirm, promptLine } from "../terminal/prompt.ts";
import { type Arguments, usageError } from "./arguments.ts";
import type { Context } from "./context.ts";
import { writeNote } from "./output.ts";
import { askSecret, canAsk, orInterrupted } from "./terminal.ts";

/** Who is paired here, without what the other device shows. */
export type OwnSide = Pick<JoinPairingOptions, "identity" | "role" | "name" | "store" | "signal">;

/** How long companions are looked for where no address is given. */
const BROWSE_MS = 3000;
const PAIRING_URI = "lango-pair:";

/** The other device, and where it is. */
export interface Joined {
  readonly peer: PairedPeer;
  readonly url: string;
}

/** Pairs with a device that shows a code, or digits. */
export async function join(
  context: Context,
  args: Arguments,
  own: OwnSide,
  knownUrl: string,
): Promise<Joined> {
  const { joinPairing } = await import("./companion.ts");
  if (args.flag("compare")) {
    const url = await addressOf(context, args, knownUrl);
    const confirmDigits: ConfirmDigits = (...shown) => compare(context, ...shown);
    return { url, peer: await joinPairing({ ...own, url, confirm: confirmDigits }) };
  }
  // A code is good for two minutes, but the address can be in what is typed.
  const typed = await codeOf(context, args);
  if (typed.startsWith(PAIRING_URI)) {
    const peer = await joinPairing({ ...own, url: typed });
    return { url: `https://${new URL(typed).host}`, peer };
  }
  const url = await addressOf(context, args, knownUrl);
  return { url, peer: await joinPairing({ ...own, url, code: typed }) };
}

/** Never from the command line, which every process of the machine can read. */
async function codeOf(context: Context, args: Arguments): Promise<string> {
  const fd = args.number("code-fd", 0);
  if (fd !== undefined) {
    try {
      return readFileSync(fd, "utf8").trim();
    } finally {
      if (fd > 2) closeSync(fd);
    }
  }
  if (!canAsk(context)) {
    throw usageError(
      "The pairing code is asked for on a terminal, and there is none",
      "Hand it over with --code-fd N",
    );
  }
  const bytes = await askSecret("Code that the other device shows (or its lango-pair: address): ");
  if (bytes === undefined) throw usageError("No code was entered");
  const text = new TextDecoder().decode(bytes).trim();
  zero(bytes);
  return text;
}

/** Whether the other device shows the same digits. */
export async function compare(
  context: Context,
  digits: string,
  { peerName, signal }: Parameters<ConfirmDigits>[1],
): Promise<boolean> {
  if (!canAsk(context)) {
    throw usageError("Digits are compared by a person at a terminal, and there is none");
  }
  writeNote(`\n    ${digits.slice(0, 3)} ${digits.slice(3)}\n`);
  // Also with --yes, which compares nothing.
  return orInterrupted(confirm(`Does "${peerName}" show the same digits?`, signal));
}

async function addressOf(context: Context, args: Arguments, knownUrl: string): Promise<string> {
  const url = args.string("url") ?? knownUrl;
  if (url !== "") return url;
  const { companionUrl } = await import("./companion.ts");
  context.note(`looking for companions on the local network (experimental) …`);
  return companionUrl(await choose(context, await browse()));
}

async function browse(): Promise<CompanionAddress[]> {
  const { browseCompanions } = await import("./companion.ts");
  const found = new Map<string, CompanionAddress>();
  for await (const { type, companion } of browseCompanions({ timeoutMs: BROWSE_MS })) {
    if (type === "found") found.set(companion.name, companion);
    else found.delete(companion.name);
  }
  return [...found.values()];
}

async function choose(
  context: Context,
  found: readonly CompanionAddress[],
): Promise<CompanionAddress> {
  const [one, ...others] = found;
  if (one === undefined) {
    throw new CryptoError("ERR_UNAVAILABLE", "No companion was found on the local network", {
      context: { hint: "Name its address: lango companion pair --url https://HOST:PORT" },
    });
  }
  if (others.length === 0) {
    context.note(`found "${one.name}"`);
    return one;
  }
  const { companionUrl } = await import("./companion.ts");
  const lines = found.map((each, index) => `  ${index + 1}  ${each.name}  ${companionUrl(each)}`);
  if (!canAsk(context)) {
    throw new CryptoError("ERR_CONFLICT", `${found.length} companions were found`, {
      context: { hint: `Name one with --url:\n${lines.join("\n")}` },
    });
  }
  writeNote(lines.join("\n"));
  const chosen = found[Number(await orInterrupted(promptLine("Which one? "))) - 1];
  if (chosen === undefined) throw usageError("None of them was chosen");
  return chosen;
}
