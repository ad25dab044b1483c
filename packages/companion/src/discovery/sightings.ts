import { isIP } from "node:net";
import { cleanName } from "../pairing/names.ts";
import type { Packet, Question } from "./links.ts";
import { type DnsRecord, lowerCase, SERVICE } from "./records.ts";

/** A companion as it announces itself: anyone on the network may announce anything. */
export interface CompanionAddress {
  /** For people, free of control characters; no two that are found have the same. */
  readonly name: string;
  /** The name of its machine, such as `lango-0a1b2c3d4e5f.local`. */
  readonly host: string;
  readonly port: number;
  /** IPv4 and IPv6, 1 to 16; those that are valid on one link only name it (`fe80::1%eth0`). */
  readonly addresses: readonly string[];
  /** The pin that it says it has: 43 characters of base64url. Whether it has it shows when its certificate is checked. */
  readonly fingerprint?: string | undefined;
  /** The version of the companion protocol that it says it speaks. */
  readonly protocol?: number | undefined;
}

/**
 * Where to dial a companion that was found: an IPv4 address if it has one, then IPv6; its name when it has only addresses of
 * one link, which no URL can hold.
 */
export const companionUrl = ({ host, port, addresses }: CompanionAddress): string => {
  const global = addresses.filter((address) => !address.includes("%"));
  const best = global.find((address) => isIP(address) === 4) ?? global[0] ?? host;
  return `https://${best.includes(":") ? `[${best}]` : best}:${port}`;
};

export type CompanionEvent =
  /** Seen for the first time, or with something changed. */
  | { readonly type: "found"; readonly companion: CompanionAddress }
  /** It said goodbye, or was not heard of for too long. */
  | { readonly type: "gone"; readonly companion: CompanionAddress };

/** What answers have told so far. */
export interface Sightings {
  /**
   * Takes in an answer, whoever it is from.
   *
   * @param zone - The network interface that it came from, for addresses that are valid there only.
   */
  take(packet: Packet, zone: string): CompanionEvent[];
  /** What has to be asked before companions that were named can be told of. */
  missing(): Question[];
  /** Those that said goodbye, or were not heard of for too long, are gone. */
  expire(): CompanionEvent[];
}

const MAX_SERVICES = 64;
const MAX_ADDRESSES = 16;
/** For one that was named, and about which nothing else was told. */
const MAX_PARTIAL_MS = 120_000;
/** RFC 6762 §10.1: what was taken back stays for a second, in case an answer that is on its way says otherwise. */
const GOODBYE_MS = 1000;
const SUFFIX = `.${SERVICE}`;

interface Sighting {
  readonly instance: string;
  expiresAt: number;
  host?: string;
  port?: number;
  txt?: Pick<CompanionAddress, "fingerprint" | "protocol">;
  addresses: string[];
  /** Something was heard since it was looked whether there is something to tell. */
  heard: boolean;
  reported?: CompanionAddress;
}

/** @param clock - Milliseconds that never go back. */
export const createSightings = (clock: () => number = () => performance.now()): Sightings => {
  // The oldest first.
  const sightings = new Map<string, Sighting>();

  const forget = (key: string, sighting: Sighting): CompanionEvent[] => {
    sightings.delete(key);
    const { reported } = sighting;
    return reported === undefined ? [] : [{ type: "gone", companion: reported }];
  };

  /** With room for a new one: a flood of false ones must not keep a true one out that comes later. */
  const sightingOf = (instance: string, events: CompanionEvent[]): Sighting => {
    const key = keyOf(instance);
    const known = sightings.get(key);
    if (known !== undefined) return known;
    const [oldest] = sightings;
    if (sightings.size >= MAX_SERVICES && oldest) events.push(...forget(...oldest));
    const expiresAt = clock() + MAX_PARTIAL_MS;
    const sighting: Sighting = { instance, expiresAt, addresses: [], heard: true };
    sightings.set(key, sighting);
    return sighting;
  };

  const takeInstance = (record: DnsRecord, events: CompanionEvent[]): void => {
    const instance = instanceOf(record);
    if (instance === undefined) return;
    const ttlMs = (("ttl" in record ? record.ttl : undefined) ?? 0) * 1000;
    if (ttlMs === 0) {
      const known = sightings.get(keyOf(instance));
      if (known !== undefined && record.type !== "TXT") known.expiresAt = clock() + GOODBYE_MS;
      return;
    }
    const sighting = sightingOf(instance, events);
    sighting.heard = true;
    if (record.type === "SRV") {
      sighting.expiresAt = clock() + ttlMs;
      const host = lowerCase(record.data.target);
      if (host !== sighting.host) sighting.addresses = [];
      sighting.host = host;
      sighting.port = record.data.port;
    }
    if (record.type === "TXT") sighting.txt = readTxt(record.data);
  };

  const takeAddresses = (records: readonly DnsRecord[], zone: string): void => {
    const heard = records.flatMap(addressOf);
    for (const sighting of sightings.values()) {
      const own = heard.filter(({ host }) => host === sighting.host);
      for (const version of [4, 6]) {
        const ofVersion = own.filter(({ address }) => isIP(address) === version);
        if (ofVersion.length === 0) continue;
        sighting.heard = true;
        sighting.addresses = [
          ...sighting.addresses.filter((address) => isKept(address, version, zone)),
          ...ofVersion.map(({ address }) => withZone(address, zone)),
        ].slice(0, MAX_ADDRESSES);
      }
    }
  };

  const report = (): CompanionEvent[] =>
    [...sightings.values()].flatMap((sighting): CompanionEvent[] => {
      if (!sighting.heard) return [];
      sighting.heard = false;
      const companion = companionOf(sighting);
      if (companion === undefined || isSame(companion, sighting.reported)) return [];
      sighting.reported = companion;
      return [{ type: "found", companion }];
    });

  return {
    take(packet, zone) {
      if (packet.type !== "response") return [];
      const records = [...(packet.answers ?? []), ...(packet.additionals ?? [])].slice(
        0,
        MAX_RECORDS,
      );
      const events: CompanionEvent[] = [];
      for (const record of records) takeInstance(record, events);
      // After the names of their hosts, which may stand behind them.
      takeAddresses(records, zone);
      return [...events, ...report()];
    },
    missing: () =>
      [...sightings.values()].flatMap(({ instance, host, txt, addresses }): Question[] => {
        if (host === undefined || txt === undefined) {
          return [
            { name: instance, type: "SRV" },
            { name: instance, type: "TXT" },
          ];
        }
        if (addresses.length > 0) return [];
        return [
          { name: host, type: "A" },
          { name: host, type: "AAAA" },
        ];
      }),
    expire() {
      const now = clock();
      return [...sightings].flatMap(([key, sighting]) =>
        sighting.expiresAt <= now ? forget(key, sighting) : [],
      );
    },
  };
};

/** A packet of 9000 bytes has at most some hundreds. */
const MAX_RECORDS = 1024;

/** The full name of the companion that a record is about, when it is about one. */
function instanceOf(record: DnsRecord): string | undefined {
  const isPointer = record.type === "PTR" && lowerCase(record.name) === SERVICE;
  if (!isPointer && record.type !== "SRV" && record.type !== "TXT") return undefined;
  const name = record.type === "PTR" ? record.data : record.name;
  return lowerCase(name).endsWith(SUFFIX) ? name : undefined;
}

const nameOf = (instance: string): string => cleanName(instance.slice(0, -SUFFIX.length));
const keyOf = (instance: string): string => lowerCase(nameOf(instance));

/** RFC 6763 §6.4: keys in any case, and the first of a name counts. What is not as we write it is not there. */
function readTxt(data: unknown): Pick<CompanionAddress, "fingerprint" | "protocol"> {
  const pairs = new Map<string, string>();
  for (const entry of Array.isArray(data) ? data : [data]) {
    const [key = "", value = ""] = String(entry).split(/=(.*)/s);
    if (!pairs.has(lowerCase(key))) pairs.set(lowerCase(key), value);
  }
  const fingerprint = pairs.get("fp") ?? "";
  const protocol = pairs.get("v") ?? "";
  return {
    ...(/^[A-Za-z0-9_-]{43}$/.test(fingerprint) && { fingerprint }),
    ...(/^[0-9]{1,4}$/.test(protocol) && { protocol: Number(protocol) }),
  };
}

/** An address that one can connect to, so neither the unspecified one nor one of multicast, and whose it is. */
function addressOf(record: DnsRecord): { host: string; address: string }[] {
  if (record.type !== "A" && record.type !== "AAAA") return [];
  const { name, data: address } = record;
  if (isIP(address) === 0 || /^(?:0\.|22[4-9]\.|2[345]\d\.|::$|ff)/i.test(address)) return [];
  return [{ host: lowerCase(name), address }];
}

/** The addresses of a version are those that were heard last (RFC 6762 §10.2), but for those of other links. */
const isKept = (address: string, version: number, zone: string): boolean =>
  isIP(address) !== version || (address.includes("%") && !address.endsWith(`%${zone}`));

/** An address of fe80::/10 is valid on its link only (RFC 4007 §11). */
const withZone = (address: string, zone: string): string =>
  /^fe[89ab]/i.test(address) ? `${address}%${zone}` : address;

function companionOf(sighting: Sighting): CompanionAddress | undefined {
  const { instance, host, port, txt, addresses } = sighting;
  if (host === undefined || !port || txt === undefined || addresses.length === 0) return undefined;
  const name = nameOf(instance);
  return { name, host: cleanName(host), port, addresses: [...addresses].sort(), ...txt };
}

const isSame = (one: CompanionAddress, other: CompanionAddress | undefined): boolean =>
  JSON.stringify(one) === JSON.stringify(other);
