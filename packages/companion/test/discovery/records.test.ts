import { describe, expect, it } from "vitest";
import { serviceNames } from "../../src/discovery/records.ts";
import { advertiseCompanion } from "../../src/index.ts";

const FINGERPRINT = "q".repeat(43);

describe("the names of an announced companion", () => {
  it("end in a part of the fingerprint", () => {
    expect(serviceNames("phone", FINGERPRINT)).toEqual({
      instance: "phone aaaaaaaaaaaa._lango-companion._tcp.local",
      host: "lango-aaaaaaaaaaaa.local",
    });
  });

  it.each(["é".repeat(64), "😀".repeat(64), "a.b.c", "..."])("are one label: %s", (name) => {
    const [label = "", ...rest] = serviceNames(name, FINGERPRINT).instance.split(".");
    expect(rest.join(".")).toBe("_lango-companion._tcp.local");
    expect(Buffer.byteLength(label)).toBeLessThanOrEqual(63);
    expect(label).not.toContain("\ufffd");
  });
});

it.each([
  { name: "phone", port: 4001, fingerprint: "short" },
  { name: "phone", port: 0, fingerprint: FINGERPRINT },
  { name: "phone", port: 65_536, fingerprint: FINGERPRINT },
])("refuses to announce %j", async (options) => {
  await expect(advertiseCompanion(options)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});
