import { decode, encode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { FUZZ_TIMEOUT_MS, fuzz } from "../../../../tooling/vitest/fuzz.ts";
import type { Packet } from "../../src/discovery/links.ts";
import { type DnsRecord, serviceNames, serviceRecords } from "../../src/discovery/records.ts";
import { companionUrl, createSightings } from "../../src/discovery/sightings.ts";

const FINGERPRINT = "q".repeat(43);
const PHONE = "phone aaaaaaaaaaaa";

const records = (name = "phone", addresses: readonly string[] = ["10.0.0.7"]): DnsRecord[] =>
  serviceRecords({
    ...serviceNames(name, FINGERPRINT),
    port: 4001,
    fingerprint: FINGERPRINT,
    addresses: addresses.map((address) => ({
      address,
      family: address.includes(":") ? "IPv6" : "IPv4",
    })),
  });

const packetOf = (answers: DnsRecord[]): Uint8Array => encode({ type: "response", answers });
/** As it comes from the network. */
const answer = (answers: DnsRecord[]): Packet =>
  decode(Buffer.from(packetOf(answers))) as unknown as Packet;
const goodbye = (answers: DnsRecord[]): Packet =>
  answer(answers.map((record) => ({ ...record, ttl: 0 }) as DnsRecord));

const found = {
  type: "found",
  companion: {
    name: PHONE,
    host: "lango-aaaaaaaaaaaa.local",
    port: 4001,
    addresses: ["10.0.0.7"],
    fingerprint: FINGERPRINT,
    protocol: 1,
  },
};

describe("what answers tell", () => {
  it("is a companion when its host, its text and an address are known, in any order", () => {
    expect(createSightings().take(answer(records()), "eth0")).toEqual([found]);
    const sightings = createSightings();
    const [pointer, server, text, address] = records() as [
      DnsRecord,
      DnsRecord,
      DnsRecord,
      DnsRecord,
    ];
    expect(sightings.take(answer([pointer]), "eth0")).toEqual([]);
    expect(sightings.missing().map(({ type }) => type)).toEqual(["SRV", "TXT"]);
    expect(sightings.take(answer([text, server]), "eth0")).toEqual([]);
    expect(sightings.missing()).toEqual([
      { name: "lango-aaaaaaaaaaaa.local", type: "A" },
      { name: "lango-aaaaaaaaaaaa.local", type: "AAAA" },
    ]);
    expect(sightings.take(answer([address]), "eth0")).toEqual([found]);
    expect(sightings.missing()).toEqual([]);
  });

  it("is told once, and again when something changed", () => {
    const sightings = createSightings();
    sightings.take(answer(records()), "eth0");
    expect(sightings.take(answer(records()), "eth0")).toEqual([]);
    const moved = sightings.take(answer(records("phone", ["10.0.0.8"])), "eth0");
    expect(moved).toEqual([
      { ...found, companion: { ...found.companion, addresses: ["10.0.0.8"] } },
    ]);
  });

  it("ends a second after a goodbye, unless it is heard of again", () => {
    let now = 0;
    const sightings = createSightings(() => now);
    sightings.take(answer(records()), "eth0");
    expect(sightings.take(goodbye(records()), "eth0")).toEqual([]);
    sightings.take(answer(records()), "eth0");
    now = 1000;
    expect(sightings.expire()).toEqual([]);
    sightings.take(goodbye(records()), "eth0");
    now = 2000;
    expect(sightings.expire()).toEqual([{ ...found, type: "gone" }]);
    expect(sightings.expire()).toEqual([]);
    expect(sightings.take(answer(records()), "eth0")).toEqual([found]);
  });

  it("ends when it is not heard of for two minutes", () => {
    let now = 0;
    const sightings = createSightings(() => now);
    sightings.take(answer(records()), "eth0");
    now = 119_999;
    expect(sightings.expire()).toEqual([]);
    now = 120_000;
    expect(sightings.expire()).toEqual([{ ...found, type: "gone" }]);
  });

  it("names the link of addresses that are valid there only, and keeps those of other links", () => {
    const sightings = createSightings();
    sightings.take(answer(records("phone", ["fe80::1", "fd00::1"])), "eth0");
    const [more] = sightings.take(answer(records("phone", ["fe80::1", "10.0.0.7"])), "wlan0");
    expect(more?.companion.addresses).toEqual(["10.0.0.7", "fe80::1%eth0", "fe80::1%wlan0"]);
  });
});

it.each([
  [["fd00::1", "10.0.0.7", "fe80::1%eth0"], "https://10.0.0.7:4001"],
  [["fe80::1%eth0", "fd00::1"], "https://[fd00::1]:4001"],
  [["fe80::1%eth0"], "https://lango-aaaaaaaaaaaa.local:4001"],
])("is dialled at one address of %j", (addresses, url) => {
  expect(companionUrl({ ...found.companion, addresses })).toBe(url);
});

describe("what strangers tell", () => {
  it("leaves no control character and no change of direction in a name", () => {
    const [event] = createSightings().take(answer(records("a\u001b[31mb\u202e\r\nc")), "eth0");
    expect(event?.companion.name).toMatch(/^[ -~]+$/);
  });

  it.each([
    ["another length", ["fp=abc"]],
    ["no base64url", [`fp=${"!".repeat(43)}`]],
    ["a second of the same name", ["FP=", `fp=${FINGERPRINT}`]],
    ["no value", ["fp"]],
  ])("has no fingerprint: %s", (_, data) => {
    const changed = records().map((record) =>
      record.type === "TXT" ? { ...record, data } : record,
    );
    const [event] = createSightings().take(answer(changed), "eth0");
    expect(event?.companion).not.toHaveProperty("fingerprint");
  });

  it("has no address that one cannot connect to", () => {
    const addresses = ["0.0.0.0", "224.0.0.251", "239.1.1.1", "255.255.255.255", "::", "ff02::fb"];
    expect(createSightings().take(answer(records("phone", addresses)), "eth0")).toEqual([]);
  });

  it("has at most 16 addresses, and no port 0", () => {
    const many = Array.from({ length: 40 }, (_, index) => `10.0.0.${index}`);
    const [event] = createSightings().take(answer(records("phone", many)), "eth0");
    expect(event?.companion.addresses).toHaveLength(16);
    const closed = records().map((record) =>
      record.type === "SRV" ? { ...record, data: { ...record.data, port: 0 } } : record,
    );
    expect(createSightings().take(answer(closed), "eth0")).toEqual([]);
  });

  it("makes room for the latest, of 64", () => {
    const sightings = createSightings();
    let known = 0;
    for (let index = 0; index < 500; index++) {
      for (const { type } of sightings.take(answer(records(`fake ${index}`)), "eth0")) {
        known += type === "found" ? 1 : -1;
      }
    }
    expect(known).toBe(64);
    expect(sightings.take(answer(records()), "eth0").at(-1)).toEqual(found);
  });

  it("is nothing in a question, or about another service", () => {
    const question = { ...answer(records()), type: "query" } as unknown as Packet;
    expect(createSightings().take(question, "eth0")).toEqual([]);
    const printer = records().map(
      (record) => ({ ...record, name: "x._ipp._tcp.local" }) as DnsRecord,
    );
    expect(createSightings().take(answer(printer), "eth0")).toEqual([]);
  });

  it("breaks nothing, whatever it is", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const sightings = createSightings();
    const outcomes = await fuzz({
      name: "multicast DNS",
      valid: [packetOf(records()), packetOf(records("x", ["fe80::1", "10.0.0.1"]))],
      parse(input) {
        const packet = readPacket(input);
        sightings.take(packet, "eth0");
        sightings.missing();
        sightings.expire();
      },
      codeOf: (error) => (error instanceof Unreadable ? "unreadable" : undefined),
    });
    expect(outcomes.get("opened")).toBeGreaterThan(0);
  });
});

class Unreadable extends Error {}

/** What `dns-packet` cannot read does not come through: multicast-dns drops it. */
function readPacket(input: Uint8Array): Packet {
  try {
    return decode(Buffer.from(input)) as unknown as Packet;
  } catch (cause) {
    throw new Unreadable("no packet", { cause });
  }
}
