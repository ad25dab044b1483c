import { createSocket } from "node:dgram";
import { BlockList } from "node:net";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import multicastDns, { type QueryPacket, type ResponsePacket } from "multicast-dns";
import type { DnsRecord } from "./records.ts";

export type Question = NonNullable<QueryPacket["questions"]>[number];
export type Packet = QueryPacket | ResponsePacket;

/** One family of addresses on one network interface. */
export interface Link {
  /** Of the interface, such as `eth0`. */
  readonly name: string;
  /** All addresses of the interface, of both families. */
  readonly addresses: readonly NetworkInterfaceInfo[];
  ask(questions: Question[]): void;
  /** Resolves when it is sent, or could not be. */
  answer(answers: DnsRecord[]): Promise<void>;
}

export interface LinksOptions {
  /** Only this interface, which may be the loopback one. Default: all others. */
  readonly interface?: string | undefined;
  /** A link that is there now, also one that came later. */
  readonly onLink: (link: Link) => void;
  readonly onPacket: (packet: Packet, link: Link) => void;
}

export interface Links {
  readonly all: readonly Link[];
  close(): Promise<void>;
}

const PORT = 5353;
/** Networks come and go under a program that runs for days. */
const REFRESH_MS = 5000;

interface OpenLink extends Link {
  close(): Promise<void>;
}

/** Opens a socket for each family of addresses on each interface, now and when one comes. */
export const openLinks = (options: LinksOptions): Links => {
  const open = new Map<string, OpenLink>();
  const refresh = (): void => {
    const wanted = wantedLinks(options.interface);
    for (const [key, link] of open) {
      if (wanted.has(key)) continue;
      open.delete(key);
      void link.close();
    }
    for (const [key, start] of wanted) {
      if (open.has(key)) continue;
      const onGone = (): void => void open.delete(key);
      open.set(key, openLink(start, options, onGone));
    }
  };
  refresh();
  const timer = setInterval(refresh, REFRESH_MS);
  return {
    get all() {
      return [...open.values()];
    },
    async close() {
      clearInterval(timer);
      await Promise.all([...open.values()].map((link) => link.close()));
    },
  };
};

interface Wanted {
  readonly name: string;
  readonly family: "IPv4" | "IPv6";
  readonly addresses: readonly NetworkInterfaceInfo[];
}

/** By what makes it another link: a socket stays with the addresses it was opened for. */
function wantedLinks(only: string | undefined): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (only === undefined ? addresses[0]?.internal : name !== only) continue;
    for (const family of ["IPv4", "IPv6"] as const) {
      if (!addresses.some((entry) => entry.family === family)) continue;
      const key = [name, family, ...addresses.map(({ cidr }) => cidr)].join(" ");
      wanted.set(key, { name, family, addresses });
    }
  }
  return wanted;
}

function openLink(
  { name, family, addresses }: Wanted,
  { onLink, onPacket }: LinksOptions,
  onGone: () => void,
): OpenLink {
  const isOnLink = onLinkCheck(name, addresses);
  const mdns = multicastDns(family === "IPv4" ? overIpv4(addresses) : overIpv6(name, addresses));
  const link: OpenLink = {
    name,
    addresses,
    ask: (questions) => mdns.query(questions),
    answer: (answers) =>
      new Promise((resolve) => {
        mdns.respond(answers, () => resolve());
      }),
    close: () =>
      new Promise((resolve) => {
        mdns.destroy(resolve);
      }),
  };
  mdns.on("ready", () => onLink(link));
  mdns.on("packet", (packet: Packet, from: { address: string; port: number }) => {
    // RFC 6762 §6, §11: what comes from another port or from beyond the link is ignored.
    if (from.port === PORT && isOnLink(from.address)) onPacket(packet, link);
  });
  // A packet that cannot be read, a network that is down for a moment.
  mdns.on("warning", () => {});
  mdns.on("error", () => {
    onGone();
    mdns.destroy();
  });
  return link;
}

// A socket bound to the address of its interface gets no multicast on Linux: it is bound to none.
function overIpv4(addresses: Wanted["addresses"]): multicastDns.Options {
  const address = addresses.find(({ family }) => family === "IPv4")?.address;
  return { type: "udp4", interface: address, bind: "0.0.0.0" };
}

function overIpv6(name: string, addresses: Wanted["addresses"]): multicastDns.Options {
  return {
    type: "udp6",
    // Or it would take the port of IPv4 too.
    socket: createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true }),
    ip: "ff02::fb",
    interface: `::%${zone(name, addresses)}`,
    bind: "::",
  };
}

/** How Node names an interface in an IPv6 address. */
function zone(name: string, addresses: Wanted["addresses"]): string {
  if (process.platform !== "win32") return name;
  return String(addresses.find((entry) => entry.family === "IPv6" && entry.scopeid > 0)?.scopeid);
}

/** Sockets of all interfaces get the packets of each: this tells which are the own ones. */
function onLinkCheck(name: string, addresses: Wanted["addresses"]): (from: string) => boolean {
  const subnets = new BlockList();
  for (const { cidr, family } of addresses) {
    const [subnet, prefix] = (cidr ?? "").split("/");
    if (subnet && prefix) subnets.addSubnet(subnet, Number(prefix), lower(family));
  }
  const ownZone = zone(name, addresses);
  return (from) => {
    const [address = "", scope = ownZone] = from.split("%");
    const family = address.includes(":") ? "IPv6" : "IPv4";
    return scope === ownZone && subnets.check(address, lower(family));
  };
}

const lower = (family: "IPv4" | "IPv6"): "ipv4" | "ipv6" => (family === "IPv4" ? "ipv4" : "ipv6");
