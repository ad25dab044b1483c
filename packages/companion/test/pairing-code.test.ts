import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPairingUri, parsePairingAddress } from "../src/pairing/address.ts";
import { formatCode, newCode, parseCode } from "../src/pairing/code.ts";
import { cleanName } from "../src/pairing/names.ts";
import { digitsOf, type Transcript } from "../src/pairing/proofs.ts";
import { expectCode } from "./support/expect-code.ts";

/** Any code points, lone surrogates too. */
const anyText = fc
  .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 100 })
  .map((points) => String.fromCodePoint(...points));
const code = fc.uint8Array({ minLength: 16, maxLength: 16 });

/** As a person types it: any case, look-alikes, spaces and dashes. */
const typed = code.chain((bytes) =>
  fc
    .tuple(
      ...Array.from(formatCode(bytes), (character) => fc.constantFrom(...spellings(character))),
    )
    .map((characters) => ({ bytes, text: characters.join("") })),
);

const spellings = (character: string): string[] => {
  const all = { "0": ["0", "O", "o"], "1": ["1", "I", "i", "L", "l"], "-": ["-", " ", "", " - "] };
  const found = Object.hasOwn(all, character) ? all[character as keyof typeof all] : [character];
  return [...found, character.toLowerCase()];
};

test("1,000 codes are read back however they are typed", () => {
  fc.assert(
    fc.property(typed, ({ bytes, text }) => {
      expect(parseCode(text)).toEqual(new Uint8Array(bytes));
    }),
    { numRuns: 1000 },
  );
});

test("a code shows 26 characters in groups, without look-alikes", () => {
  fc.assert(
    fc.property(code, (bytes) => {
      expect(formatCode(bytes)).toMatch(
        /^[0-7][0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{5}){3}-[0-9A-HJKMNP-TV-Z]{6}$/,
      );
    }),
  );
  expect(formatCode(new Uint8Array(16))).toBe("00000-00000-00000-00000-000000");
  expect(formatCode(new Uint8Array(16).fill(255))).toBe("7ZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ");
  expect(newCode()).not.toEqual(newCode());
});

test("anything else is refused, and not repeated", async () => {
  const good = formatCode(newCode());
  for (const text of [
    "",
    good.slice(1),
    `${good}0`,
    `U${good.slice(1)}`,
    `8${good.slice(1)}`,
    `é${good.slice(1)}`,
    "\u0000".repeat(26),
  ]) {
    const error = await expectCode(() => parseCode(text), "ERR_INVALID_ARGUMENT");
    if (text.length > 3) expect(error.message).not.toContain(text.slice(1, 8));
  }
  fc.assert(
    fc.property(anyText, (text) => {
      expect(() => parseCode(text)).toThrow("no pairing code");
    }),
  );
});

test("a URI is read back, with IPv4, IPv6 and names", () => {
  const fingerprint = "A".repeat(43);
  for (const host of ["192.168.1.20", "fe80::1", "phone.local"]) {
    const address = { host, port: 7443, code: newCode(), fingerprint };
    expect(parsePairingAddress(formatPairingUri(address))).toEqual(address);
  }
  expect(parsePairingAddress("wss://[::1]:8443/x")).toEqual({ host: "::1", port: 8443 });
  expect(parsePairingAddress("https://phone.local")).toEqual({ host: "phone.local", port: 443 });
});

test("no name steers a terminal, whatever it is", () => {
  fc.assert(
    fc.property(anyText, (name) => {
      const clean = cleanName(name);
      expect(clean).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u);
      expect(cleanName(clean)).toBe(clean);
    }),
    { numRuns: 1000 },
  );
  expect(cleanName("Zoë’s\u001b[2J  iPhone\r\n")).toBe("Zoë’s iPhone");
  expect(cleanName("x".repeat(100))).toHaveLength(64);
});

test("digits are six, and every member of the transcript changes them", () => {
  const party = (name: string) => ({ role: "agent", name, fingerprint: "A".repeat(43) }) as const;
  const transcript: Transcript = {
    mode: "compare",
    id: "i",
    exporter: new Uint8Array(32),
    host: party("h"),
    joiner: party("j"),
  };
  const nonces = { host: new Uint8Array(32), joiner: new Uint8Array(32).fill(1) };
  const all = [
    digitsOf(nonces, transcript),
    digitsOf({ host: nonces.joiner, joiner: nonces.host }, transcript),
    digitsOf(nonces, { ...transcript, mode: "code" }),
    digitsOf(nonces, { ...transcript, id: "j" }),
    digitsOf(nonces, { ...transcript, exporter: new Uint8Array(32).fill(1) }),
    digitsOf(nonces, { ...transcript, host: party("hj"), joiner: party("") }),
    digitsOf(nonces, { ...transcript, host: { ...party("h"), role: "companion" } }),
    digitsOf(nonces, { ...transcript, joiner: { ...party("j"), fingerprint: "B".repeat(43) } }),
  ];
  for (const digits of all) expect(digits).toMatch(/^\d{6}$/);
  expect(new Set(all).size).toBe(all.length);
});
