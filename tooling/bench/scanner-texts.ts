import { createHash } from "node:crypto";

// Texts and secrets of the scanner's benchmark: the same in every run.

export interface NamedText {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const TEXT_BYTES = 256 * 1024;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_";

/** Bytes that look random and are always the same for a seed. */
export const noise = (seed: string, length: number): Buffer => {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 64 < length; i++) {
    blocks.push(createHash("sha512").update(`${seed} ${i}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
};

const number = (seed: string, below: number) => noise(seed, 4).readUInt32LE() % below;

/** A third each of 24, 8 and 200 bytes. */
export const secretsFor = (count: number): { name: string; value: Buffer }[] =>
  Array.from({ length: count }, (_, i) => {
    const bytes = noise(`secret ${i}`, [24, 8, 200][i % 3]!);
    return { name: `s${i}`, value: bytes.map((byte) => ALPHABET.charCodeAt(byte % 62)) as Buffer };
  });

const WORDS =
  `the of and to a in is that for it as was with be by on not he his but at are this have from or had an they
which one you were all her she there would their we him been has when who will no more if out so said what up its about into
than them can only other time new some could these two may first then do any like my now over such our man me even most made
after also did many before must through years where much your way well down should because each just those people how too`.split(
    /\s+/,
  );

const fill = (line: (i: number) => string): Buffer => {
  const lines: string[] = [];
  for (let length = 0, i = 0; length < TEXT_BYTES; i++) {
    lines.push(line(i));
    length += lines[i]!.length;
  }
  return Buffer.from(lines.join("")).subarray(0, TEXT_BYTES);
};

const word = (i: number) => WORDS[number(`word ${i}`, WORDS.length)]!;

const log = (i: number) =>
  `2026-11-22T05:${String(i % 60).padStart(2, "0")}:27.123Z ${["INFO ", "WARN ", "DEBUG"][i % 3]} [http-${i % 17}] ${word(i)} request completed method=GET path=/api/v1/users/${number(`user ${i}`, 99_999)} status=200 duration=${number(`ms ${i}`, 999)}ms bytes=${number(`size ${i}`, 99_999)}\n`;

const prose = (i: number) =>
  `${Array.from({ length: 12 }, (_, j) => word(i * 12 + j)).join(" ")}${i % 3 === 0 ? ".\n" : ", "}`;

const json = (i: number) =>
  `${JSON.stringify({ id: i, uuid: noise(`id ${i}`, 16).toString("hex"), name: `${word(i)} ${word(i + 1)}`, active: i % 2 === 0, tags: [word(i + 2), word(i + 3)], note: `a "${word(i + 4)}"\nline` })},\n`;

/** Ordinary texts, with one secret for every 64 KiB. */
export const textsWith = (secrets: readonly { value: Buffer }[]): NamedText[] =>
  [
    { name: "log", bytes: fill(log) },
    { name: "prose", bytes: fill(prose) },
    { name: "json", bytes: fill(json) },
    { name: "binary", bytes: noise("binary", TEXT_BYTES) },
  ].map(({ name, bytes }) => {
    for (let at = 10_000, i = 0; at < bytes.length - 200; at += 65_536, i++) {
      secrets[i % secrets.length]!.value.copy(bytes, at);
    }
    return { name, bytes };
  });

/** Text in which much looks like a secret. */
export const hardTexts = (): Readonly<
  Record<"prefix" | "percent" | "utf16" | "base64" | "hex" | "plain", Buffer>
> => {
  const plain = fill(prose);
  const percent = [...plain.subarray(0, TEXT_BYTES / 3)]
    .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
    .join("");
  return {
    plain,
    prefix: fill((i) => `sk-proj-${"sk-proj-".repeat(i % 3)}${word(i)} `),
    percent: Buffer.from(percent),
    // Without a line break, as in a document of JSON, and in lines of 64 characters, as a certificate is.
    base64: Buffer.from(noise("base64", (TEXT_BYTES / 4) * 3).toString("base64")),
    hex: Buffer.from(
      noise("hex", TEXT_BYTES / 2)
        .toString("hex")
        .replaceAll(/.{64}/g, "$&\n"),
    ),
    utf16: Buffer.from(plain.subarray(0, TEXT_BYTES / 2).toString("latin1"), "utf16le"),
  };
};

export const keysWithOnePrefix = (count: number): { name: string; value: Buffer }[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `k${i}`,
    value: Buffer.from(`sk-proj-${noise(`key ${i}`, 30).toString("base64url")}`),
  }));
