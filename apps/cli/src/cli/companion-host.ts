import { closeSync } from "node:fs";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { ChannelListener, PairedPeer } from "@lango/companion";
import { CryptoError } from "@lango/crypto-core";
import { type Arguments, usageError } from "./arguments.ts";
import { isTerminal } from "./color.ts";
import { compare, type OwnSide } from "./companion-join.ts";
import type { Context } from "./context.ts";
import { writeAll } from "./output.ts";
import { canAsk } from "./terminal.ts";

/** Where a listener is bound to. */
export interface Bound {
  readonly host: string;
  readonly port: number;
}

/**
 * Opens a listener to one device that is to be paired, and shows it the code, or both persons the digits.
 *
 * @throws CryptoError What ended the pairing without a device.
 */
export async function host(
  context: Context,
  args: Arguments,
  own: OwnSide,
  listener: ChannelListener,
  bound: Bound,
): Promise<PairedPeer> {
  const { createPairingHost } = await import("./companion.ts");
  const address = { host: reachable(bound.host), port: bound.port };
  const pairing = createPairingHost({
    ...own,
    address,
    mode: args.flag("compare")
      ? { kind: "compare", confirm: (...shown) => compare(context, ...shown) }
      : { kind: "code" },
  });
  listener.setPairing(pairing.accept);
  try {
    const { code, uri } = pairing;
    if (code === undefined || uri === undefined) {
      const command = `lango companion pair --compare --url ${urlOf(address)}`;
      context.note(`Pair within 2 minutes. On the other device: ${command}`);
    } else {
      const fd = args.number("code-fd", 1);
      if (fd !== undefined) handOver(fd, code);
      // Not a note: --quiet does not mean that nobody may pair.
      else writeAll(2, codeText(address, code, uri, await pairing.qr()));
    }
    return await pairing.done;
  } finally {
    listener.setPairing(undefined);
    pairing.cancel();
  }
}

/** Before anything listens: a code in a file of logs would be nobody's secret. */
export function checkCanShow(context: Context, args: Arguments): void {
  if (args.flag("compare") ? canAsk(context) : (args.number("code-fd", 1) ?? isTerminal(2))) return;
  throw usageError(
    "A pairing is shown on a terminal, and there is none",
    "Run it on a terminal, or take the code from --code-fd N",
  );
}

function handOver(fd: number, code: string): void {
  writeAll(fd, `${code}\n`);
  if (fd > 2) closeSync(fd);
}

const codeText = (address: Bound, code: string, uri: string, qr: string): string =>
  [
    `Pair within 2 minutes. On the other device: lango companion pair --url ${urlOf(address)}`,
    "and this code:",
    "",
    `    ${code}`,
    "",
    "or scan this, which holds the code too:",
    "",
    qr,
    uri,
    "",
    "",
  ].join("\n");

/** As a URL, which the other device dials. */
export const urlOf = ({ host: name, port }: Bound): string =>
  `https://${name.includes(":") ? `[${name}]` : name}:${port}`;

export const isWildcard = (name: string): boolean => name === "::" || name === "0.0.0.0";

/** An address that other devices reach: a socket that is bound to none has all of them. */
function reachable(bound: string): string {
  if (!isWildcard(bound)) return bound;
  const all = Object.values(networkInterfaces()).flatMap((entries = []) => entries);
  const outside = all.filter(({ internal, family }) => !internal && family === "IPv4");
  return outside[0]?.address ?? "127.0.0.1";
}

/** The address of `--listen`. */
export function listenAddress(text: string): Bound {
  const [, name = "", digits = ""] = /^(.*):(\d{1,5})$/s.exec(text) ?? [];
  const host = name.replace(/^\[(.*)\]$/s, "$1");
  const port = Number(digits);
  if (digits !== "" && port <= 65_535 && (isIP(host) !== 0 || /^[\w.-]+$/.test(host))) {
    return { host, port };
  }
  throw usageError(`--listen ${text} is no address`, "Use HOST:PORT, as in 0.0.0.0:8443");
}

/** Listens at the address of `--listen`; without one, at every address of the machine, as a second device must. */
export async function listen(listener: ChannelListener, args: Arguments): Promise<Bound> {
  const given = args.string("listen");
  if (given !== undefined) return listener.listen(listenAddress(given));
  try {
    return await listener.listen({ host: "::", port: DEFAULT_PORT });
  } catch (error) {
    // A machine without IPv6.
    if (causeOf(error) !== "EAFNOSUPPORT") throw error;
    return await listener.listen({ host: "0.0.0.0", port: DEFAULT_PORT });
  }
}

const causeOf = (error: unknown): string | undefined =>
  error instanceof CryptoError ? (error.cause as NodeJS.ErrnoException)?.code : undefined;

const DEFAULT_PORT = 8443;
