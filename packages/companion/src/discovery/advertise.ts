import { CryptoError } from "@lango/crypto-core";
import { cleanName } from "../pairing/names.ts";
import { type Link, openLinks, type Packet } from "./links.ts";
import {
  type Announced,
  type DnsRecord,
  lowerCase,
  SERVICE,
  SERVICE_TYPES,
  serviceNames,
  serviceRecords,
  typeRecord,
} from "./records.ts";

export interface AdvertiseOptions {
  /** What people read where they look for companions; a part of the fingerprint is added. */
  readonly name: string;
  readonly port: number;
  /** The own pin: 43 characters of base64url. */
  readonly fingerprint: string;
  /** The address that the listener is bound to: it alone is announced. Default: all of each interface. */
  readonly address?: string | undefined;
  /** Only on this network interface. Default: on all but the loopback one. */
  readonly interface?: string | undefined;
}

export interface Advertisement {
  /** Takes the service back ("goodbye") and closes the sockets. May be called again. */
  close(): Promise<void>;
}

/** RFC 6762 §6: a record goes out once a second at most. */
const MIN_GAP_MS = 1000;
/** RFC 6762 §6: answers that others may give too wait for 20 to 120 ms. */
const delayMs = (): number => 20 + Math.random() * 100;
/** RFC 6762 §7.1: a record that the asker has for at least half its time is not sent again. */
const KNOWN_TTL = 2250;

/**
 * Announces a companion on the local network as `_lango-companion._tcp` by multicast DNS (RFC 6762, RFC 6763), over IPv4
 * and IPv6, and answers those who ask for it. Networks that come later hear of it too. Experimental.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a fingerprint or a port that is none.
 */
export const advertiseCompanion = async (options: AdvertiseOptions): Promise<Advertisement> => {
  const { name, port, fingerprint, address } = options;
  if (!FINGERPRINT.test(fingerprint) || !Number.isInteger(port) || port < 1 || port > 65_535) {
    const message = "A companion is announced with a fingerprint of 43 characters and a port";
    throw new CryptoError("ERR_INVALID_ARGUMENT", message);
  }
  const names = serviceNames(cleanName(name), fingerprint);
  const announced = (link: Link): Announced => ({
    ...names,
    port,
    fingerprint,
    addresses: link.addresses
      .filter((entry) => address === undefined || entry.address === address)
      .slice(0, MAX_ADDRESSES),
  });
  const isOwn = (link: Link): boolean => announced(link).addresses.length > 0;
  const timers = new Set<NodeJS.Timeout>();
  const later = (ms: number, run: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
  };

  const sentAt = new WeakMap<Link, number>();
  const planned = new WeakSet<Link>();
  /** Questions that come meanwhile are answered with it: a flood of them is answered once a second. */
  const send = (link: Link, waitMs: number): void => {
    if (planned.has(link) || !isOwn(link)) return;
    planned.add(link);
    const gapMs = (sentAt.get(link) ?? -MIN_GAP_MS) + MIN_GAP_MS - performance.now();
    later(Math.max(waitMs, gapMs), () => {
      planned.delete(link);
      sentAt.set(link, performance.now());
      void link.answer([...serviceRecords(announced(link)), typeRecord]);
    });
  };

  const asked = askedFor(names.instance, names.host);
  const links = openLinks({
    interface: options.interface,
    onLink(link) {
      // RFC 6762 §8.3: announced twice, a second apart.
      send(link, 0);
      later(MIN_GAP_MS, () => send(link, 0));
    },
    onPacket(packet, link) {
      if (asked(packet)) send(link, delayMs());
    },
  });

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    for (const timer of timers) clearTimeout(timer);
    const own = links.all.filter(isOwn);
    await Promise.all(own.map((link) => link.answer(serviceRecords(announced(link), true))));
    await links.close();
  };
  return {
    close() {
      closing ??= close();
      return closing;
    },
  };
};

const FINGERPRINT = /^[A-Za-z0-9_-]{43}$/;
const MAX_ADDRESSES = 16;

/** Whether a packet is a question for one of our records that the asker does not know yet. */
function askedFor(instance: string, host: string): (packet: Packet) => boolean {
  const own = new Set([instance, host, SERVICE_TYPES].map(lowerCase));
  const knows = (answers: readonly DnsRecord[]): boolean =>
    answers.some((answer) => {
      return answer.type === "PTR" && answer.data === instance && (answer.ttl ?? 0) >= KNOWN_TTL;
    });
  return ({ type, questions = [], answers = [] }) =>
    type === "query" &&
    questions.some(({ name }) => {
      const asked = lowerCase(name);
      return own.has(asked) || (asked === SERVICE && !knows(answers));
    });
}
