import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { provider } from "@lango/crypto-pkcs11";
import { afterAll, expect, test } from "vitest";
import { findPin } from "../src/pin.ts";

const folder = mkdtempSync(path.join(tmpdir(), "lango-pkcs11-"));
afterAll(() => rmSync(folder, { recursive: true }));
const modulePath = "/usr/lib/softhsm/libsofthsm2.so";

test.each([
  [{}, "modulePath: missing"],
  [{ modulePath: "libsofthsm2.so" }, "modulePath: must be an absolute path"],
  [{ modulePath, slotId: -1 }, "slotId"],
  [{ modulePath, slotId: "0" }, "slotId"],
  [{ modulePath, keyLabel: "" }, "keyLabel"],
  [{ modulePath, pin: "1234" }, "pin: unknown setting"],
  [[], "must be an object"],
])("%j is ERR_CONFIG: %s", (input, fault) => {
  expect(() => provider.configSchema.parse(input)).toThrow(
    expect.objectContaining({ code: "ERR_CONFIG", message: expect.stringContaining(fault) }),
  );
  expect(() => provider.configSchema.parse(input)).not.toThrow("1234");
});

test("every setting of the contract is taken", () => {
  const input = {
    modulePath,
    slotId: 0,
    keyLabel: "k",
    keyId: "object=k",
    encryptKeyId: "object=e",
    signKeyId: "object=s",
    pinSource: "file:/run/secrets/pin",
  };
  expect(provider.configSchema.parse(input)).toEqual(input);
});

test("a module that is not there is ERR_CONFIG, with the place to mend it", async () => {
  const config = provider.configSchema.parse({ modulePath: path.join(folder, "none.so") });
  const call = async (): Promise<unknown> => provider.create(config, {});
  await expect(call()).rejects.toMatchObject({
    code: "ERR_CONFIG",
    context: { hint: expect.stringContaining("modulePath") },
  });
  const text = path.join(folder, "text.so");
  writeFileSync(text, "no library");
  const broken = async (): Promise<unknown> =>
    provider.create(provider.configSchema.parse({ modulePath: text }), {});
  await expect(broken()).rejects.toMatchObject({ code: "ERR_CONFIG" });
});

const file = (name: string, content: string, mode = 0o600): string => {
  const full = path.join(folder, name);
  writeFileSync(full, content);
  chmodSync(full, mode);
  return full;
};
const read = (source: string | undefined, env = {}): string | undefined => {
  const pin = findPin(source, env);
  return pin && Buffer.from(pin).toString();
};

test("the PIN: of the variable before the file, without the newline at its end", () => {
  const pin = file("pin", "1234\n");
  expect(read(undefined)).toBeUndefined();
  expect(read(pin)).toBe("1234");
  expect(read(`file:${pin}`)).toBe("1234");
  expect(read(`file://${pin}`)).toBe("1234");
  expect(read(file("crlf", "12 34\r\n"))).toBe("12 34");
  expect(read(pin, { LANGO_PKCS11_PIN: "5678" })).toBe("5678");
});

test.each([
  ["a file that others may read", () => file("open", "1234", 0o644)],
  ["an empty file", () => file("empty", "\n")],
  ["a file that is too long", () => file("long", "x".repeat(300))],
  ["a folder", () => folder],
  ["a file that is not there", () => path.join(folder, "none")],
  ["a command", () => "|cat /etc/passwd"],
  ["a relative path", () => "pin"],
])("trap 2d.18: %s is no source of a PIN", (_, make) => {
  const source = make();
  expect(() => read(source)).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }));
  expect(() => read(source)).not.toThrow("1234");
});

test.skipIf(process.platform === "win32")("a mounted secret may be readable", () => {
  const mounted = file("mounted", "1234", 0o444);
  expect(read(mounted, { CREDENTIALS_DIRECTORY: folder })).toBe("1234");
});
