import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { said, startAvahi } from "../../../../tooling/services/avahi.ts";
import { type Host, type HostProgram, withTwoHosts } from "../../../../tooling/services/netns.ts";
import { requireService } from "../../../../tooling/vitest/require-service.ts";
import type { CompanionEvent } from "../../src/index.ts";

const TYPE = "_lango-companion._tcp";
const FINGERPRINT = "q".repeat(43);
const OTHER = "Z".repeat(43);
const LABEL = "phone aaaaaaaaaaaa";

const child = (host: Host, name: string, ...args: string[]): HostProgram => {
  const script = fileURLToPath(new URL(`${name}-child.ts`, import.meta.url));
  return host.start(process.execPath, ["--conditions=@lango/source", script, ...args]);
};
const advertise = (host: Host, fingerprint = FINGERPRINT): HostProgram =>
  child(host, "advertise", "phone", "4001", fingerprint);

const until = async (condition: () => boolean, program: HostProgram): Promise<void> => {
  for (let tries = 0; tries < 1000 && !condition(); tries++) await sleep(10);
  expect(condition(), program.output()).toBe(true);
};
const events = (program: HostProgram): CompanionEvent[] =>
  program
    .output()
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
const sees = (program: HostProgram, type: string, name: string): Promise<void> =>
  until(
    () => events(program).some((event) => event.type === type && event.companion.name === name),
    program,
  );
/** Whether `avahi-browse` told of a service: found (`+`), resolved (`=`) or gone (`-`). */
const told = (program: HostProgram, mark: string, family: string): boolean =>
  program.output().includes(`${mark};eth0;${family};phone\\032aaaaaaaaaaaa;`);

describe.each([
  { ip: "ipv4", families: ["IPv4"] },
  { ip: "ipv6", families: ["IPv6"] },
  { ip: undefined, families: ["IPv4", "IPv6"] },
] as const)("with Avahi over $families", ({ ip, families }) => {
  it("finds what it announces, hears its goodbye, and finds it again when it was restarted", async () => {
    requireService("netns");
    requireService("avahi");
    await withTwoHosts(async ({ a, b }) => {
      const avahi = await startAvahi(a, { name: "desk", ip });
      const text = ["v=1", `fp=${FINGERPRINT}`];
      const first = await avahi.publish("desk one", TYPE, 4001, text);
      const browser = child(b, "browse");
      await sees(browser, "found", "desk one");
      const found = events(browser).findLast(({ companion }) => companion.name === "desk one");
      expect(found?.companion).toMatchObject({
        host: "desk.local",
        port: 4001,
        fingerprint: FINGERPRINT,
        protocol: 1,
      });
      const addresses = found?.companion.addresses ?? [];
      expect(addresses.includes(a.ipv4)).toBe(families.some((family) => family === "IPv4"));
      expect(addresses.includes(a.ipv6)).toBe(families.some((family) => family === "IPv6"));
      first.kill();
      await sees(browser, "gone", "desk one");
      await avahi.restart();
      await avahi.publish("desk two", TYPE, 4002, text);
      await sees(browser, "found", "desk two");
    });
  });

  it("is found by it, also after it was restarted, and takes its service back", async () => {
    requireService("netns");
    requireService("avahi");
    await withTwoHosts(async ({ a, b }) => {
      const avahi = await startAvahi(a, { name: "desk", ip });
      const announced = advertise(b);
      const before = avahi.browse(TYPE);
      for (const family of families) await until(() => told(before, "=", family), before);
      // What belongs to a line may come after it.
      await until(() => before.output().includes(`"fp=${FINGERPRINT}" "v=1"`), before);
      await avahi.restart();
      const after = avahi.browse(TYPE);
      for (const family of families) await until(() => told(after, "=", family), after);
      announced.kill();
      expect(await announced.ended).toEqual({ status: 0, signal: null });
      for (const family of families) await until(() => told(after, "-", family), after);
    });
  });
});

describe("two processes of our own", () => {
  it("find each other on both families, say goodbye, and meet again when the cable is back", async () => {
    requireService("netns");
    await withTwoHosts(async ({ a, b, linkDown, linkUp }) => {
      const browser = child(a, "browse");
      const first = advertise(b);
      await sees(browser, "found", LABEL);
      await until(() => browser.output().includes(b.ipv6), browser);
      const { companion } = events(browser).at(-1)!;
      expect(companion.addresses).toEqual(expect.arrayContaining([b.ipv4, b.ipv6]));
      expect(companion.addresses).toContainEqual(expect.stringMatching(/^fe80::.*%eth0$/));
      first.kill();
      await sees(browser, "gone", LABEL);

      await linkDown();
      const second = advertise(b, OTHER);
      await said(second, "announced");
      await linkUp();
      await until(() => browser.output().includes(OTHER), browser);
    });
  });

  it("end with a typed error when there is no paired one in time", async () => {
    requireService("netns");
    await withTwoHosts(async ({ a, b }) => {
      const alone = child(a, "find", FINGERPRINT, "300");
      await alone.ended;
      expect(JSON.parse(alone.output())).toEqual({
        code: "ERR_UNAVAILABLE",
        message: "No companion was found on the local network within 300 ms",
        retryable: true,
        hint: "Start the companion, or set security.signer.rpcUrl to its address",
      });
      await said(advertise(b, OTHER), "announced");
      const stranger = child(a, "find", FINGERPRINT, "3000");
      await stranger.ended;
      expect(JSON.parse(stranger.output())).toMatchObject({
        code: "ERR_UNAVAILABLE",
        message: "No paired companion was found on the local network within 3000 ms",
      });
    });
  });

  it("find each other through a flood of false answers and noise", async () => {
    requireService("netns");
    await withTwoHosts(async ({ a, b }) => {
      const browser = child(a, "browse");
      const real = advertise(b);
      await said(real, "announced");
      const flood = child(b, "flood", OTHER);
      const finder = child(a, "find", FINGERPRINT, "30000");
      await finder.ended;
      expect(JSON.parse(finder.output())).toMatchObject({ name: LABEL, port: 4001 });
      await said(flood, "done");
      // Both are alive, and the browser has no more in mind than it may.
      real.kill();
      expect(await real.ended).toEqual({ status: 0, signal: null });
      await sees(browser, "gone", LABEL);
      const known = new Set<string>();
      let most = 0;
      for (const { type, companion } of events(browser)) {
        if (type === "found") known.add(companion.name);
        else known.delete(companion.name);
        most = Math.max(most, known.size);
      }
      expect(most).toBeGreaterThan(1);
      expect(most).toBeLessThanOrEqual(64);
    });
  });
});
