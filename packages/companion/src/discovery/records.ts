import type { ResponsePacket } from "multicast-dns";

/** A resource record, as `dns-packet` has it. */
export type DnsRecord = NonNullable<ResponsePacket["answers"]>[number];

/** The type of the service, in the only domain of multicast DNS (RFC 6763 §4.1, RFC 6762 §3). */
export const SERVICE = "_lango-companion._tcp.local";
/** Under this name every type of service on a link is listed (RFC 6763 §9). */
export const SERVICE_TYPES = "_services._dns-sd._udp.local";
/** The version of the companion protocol that is announced. */
const PROTOCOL = 1;

// RFC 6762 §10: 120 s for records with the name or address of a host, 75 min for others.
const HOST_TTL = 120;
const OTHER_TTL = 4500;
/** A label of a name has at most 63 bytes (RFC 1035 §2.3.4). */
const MAX_LABEL_BYTES = 63;

export interface ServiceNames {
  /** `<label>._lango-companion._tcp.local`. */
  readonly instance: string;
  /** Of the addresses: not the machine's own name, which another responder may hold. */
  readonly host: string;
}

/**
 * The names of a service. They end in a part of the fingerprint, so that no two devices have the same ones and no time is
 * spent on probing for them (RFC 6762 §8.1).
 *
 * @param fingerprint - 43 characters of base64url.
 */
export const serviceNames = (name: string, fingerprint: string): ServiceNames => {
  const unique = Buffer.from(fingerprint, "base64url").toString("hex").slice(0, 12);
  // A dot would end the label.
  const label = fit(name.replaceAll(".", " "), MAX_LABEL_BYTES - unique.length - 1);
  return { instance: `${label} ${unique}.${SERVICE}`, host: `lango-${unique}.local` };
};

export interface Announced extends ServiceNames {
  readonly port: number;
  readonly fingerprint: string;
  readonly addresses: readonly { readonly address: string; readonly family: "IPv4" | "IPv6" }[];
}

/**
 * Every record of a service.
 *
 * @param goodbye - With a time to live of 0, which takes the service back (RFC 6762 §10.1).
 */
export const serviceRecords = (announced: Announced, goodbye = false): DnsRecord[] => {
  const { instance, host, port, fingerprint, addresses } = announced;
  const hostTtl = goodbye ? 0 : HOST_TTL;
  const otherTtl = goodbye ? 0 : OTHER_TTL;
  // `flush`: nobody else has records of that name (RFC 6762 §10.2).
  const own = { class: "IN", flush: true } as const;
  return [
    { name: SERVICE, type: "PTR", ttl: otherTtl, data: instance },
    { ...own, name: instance, type: "SRV", ttl: hostTtl, data: { target: host, port } },
    {
      ...own,
      name: instance,
      type: "TXT",
      ttl: otherTtl,
      data: [`v=${PROTOCOL}`, `fp=${fingerprint}`],
    },
    ...addresses.map(({ address, family }): DnsRecord => {
      const type = family === "IPv4" ? "A" : "AAAA";
      return { ...own, name: host, type, ttl: hostTtl, data: address };
    }),
  ];
};

/** The answer to "which types of service are there?". */
export const typeRecord: DnsRecord = {
  name: SERVICE_TYPES,
  type: "PTR",
  ttl: OTHER_TTL,
  data: SERVICE,
};

/** Names of DNS are alike in any case of ASCII letters (RFC 6762 §16). */
export const lowerCase = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());

/** As many whole characters as fit. */
function fit(text: string, maxBytes: number): string {
  let fitting = "";
  for (const character of text) {
    if (Buffer.byteLength(fitting + character) > maxBytes) break;
    fitting += character;
  }
  return fitting;
}
