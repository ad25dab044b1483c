import { setImmediate as nextTurn } from "node:timers/promises";
import { createScanner, type Scanner } from "@lango/guard";
import AhoCorasick from "modern-ahocorasick";
import { MaskTokens } from "../../packages/guard/src/scanner/mask-tokens.ts";
import { createWorkshop, StreamMasker } from "../../packages/guard/src/scanner/masker.ts";
import { SecretIndex } from "../../packages/guard/src/scanner/secret-index.ts";
import { Text } from "../../packages/guard/src/scanner/text.ts";
import { compareDurations, compareThroughput, type Measure } from "./paired.ts";
import {
  hardTexts,
  keysWithOnePrefix,
  type NamedText,
  secretsFor,
  textsWith,
} from "./scanner-texts.ts";

const CHUNK_BYTES = 64 * 1024;
const MEGA = 1e6;

type Secrets = ReturnType<typeof secretsFor>;
type Work = () => unknown;

const chunksOf = (bytes: Uint8Array, size: number = CHUNK_BYTES): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );

const ours = (scanner: Pick<Scanner, "createMasker">, bytes: Uint8Array, size?: number): Work => {
  const chunks = chunksOf(bytes, size);
  return () => {
    const masker = scanner.createMasker();
    for (const chunk of chunks) masker.write(chunk);
    return masker.end();
  };
};

/** The same in JavaScript alone, as it runs where there is no WebAssembly. */
const javaScriptScanner = (secrets: Secrets): Pick<Scanner, "createMasker"> => {
  const index = new SecretIndex();
  for (const { name, value } of secrets) for (const _ of index.set(name, value));
  const shop = createWorkshop(index, new MaskTokens(index), [new Text(), new Text()]);
  return { createMasker: () => new StreamMasker(shop) };
};

/** What others look for: three forms of each secret. */
const patternsOf = (secrets: Secrets): Map<string, string> =>
  new Map(
    secrets.flatMap(({ name, value }) => [
      [value.toString(), name],
      [value.toString("base64").replace(/=+$/, ""), name],
      [value.toString("hex"), name],
    ]),
  );

const regexPeer = (secrets: Secrets): ((text: string) => string) => {
  const patterns = patternsOf(secrets);
  const longestFirst = [...patterns.keys()].sort((a, b) => b.length - a.length);
  const escaped = longestFirst.map((each) => each.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  const regex = new RegExp(escaped.join("|"), "g");
  return (text) => text.replace(regex, (found) => `[SECRET:${patterns.get(found)}]`);
};

const ahoCorasickPeer = (secrets: Secrets): ((text: string) => string) => {
  const patterns = patternsOf(secrets);
  const matcher = new AhoCorasick([...patterns.keys()]);
  return (text) =>
    matcher.replace(text, ({ pattern }) => `[SECRET:${patterns.get(pattern)}]`, {
      strategy: "leftmost-longest",
    });
};

const seconds = (work: Work): number => {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
};

/** The faster of the two on this text, found by a try of each when both are warm. */
const betterPeer = (peers: readonly ((text: string) => string)[], bytes: Uint8Array): Work => {
  // Bytes in, bytes out, like ours. Latin-1 is the fastest way there is from bytes to a text and back.
  const chunks = chunksOf(bytes).map((chunk) => Buffer.from(chunk));
  const works = peers.map(
    (peer) => () => chunks.map((chunk) => Buffer.from(peer(chunk.toString("latin1")), "latin1")),
  );
  const times = works.map((work) => Math.min(seconds(work), seconds(work), seconds(work)));
  return works[times.indexOf(Math.min(...times))]!;
};

const againstPeers = async (
  count: number,
  scanner: Pick<Scanner, "createMasker">,
  texts: readonly NamedText[],
  peers: readonly ((text: string) => string)[],
  options: { readonly suffix?: string; readonly atLeast: number },
): Promise<Measure[]> => {
  const measures: Measure[] = [];
  for (const { name, bytes } of texts) {
    measures.push(
      await compareThroughput({
        name: `scanner-${count}-${name}-vs-better-peer${options.suffix ?? ""}`,
        unit: "MB/s",
        amount: bytes.length / MEGA,
        ours: ours(scanner, bytes),
        theirs: betterPeer(peers, bytes),
        atLeast: options.atLeast,
        rounds: 5,
      }),
    );
  }
  return measures;
};

const againstIndexOf = async (
  scanner: Scanner,
  secrets: Secrets,
  texts: readonly NamedText[],
): Promise<Measure[]> => {
  const measures: Measure[] = [];
  for (const { name, bytes } of texts) {
    // One that is not in the text, so that all of it is searched.
    const needle = secrets.at(-1)!.value;
    const chunks = chunksOf(bytes).map((chunk) => Buffer.from(chunk));
    measures.push(
      await compareThroughput({
        name: `scanner-1000-${name}-vs-indexOf`,
        unit: "MB/s",
        amount: bytes.length / MEGA,
        ours: ours(scanner, bytes),
        theirs: () => chunks.map((chunk) => chunk.indexOf(needle)),
        atLeast: 0.1,
      }),
    );
  }
  return measures;
};

/** Throughput alone, against what the target asks for. */
const absolute = async (
  name: string,
  work: Work,
  bytes: number,
  atLeast: number,
): Promise<Measure> => {
  const rates: number[] = [];
  for (let round = 0; round < 30; round++) rates.push(bytes / MEGA / seconds(work));
  const rate = rates.toSorted((a, b) => a - b)[20]!;
  return {
    name,
    unit: "MB/s",
    ours: rate,
    theirs: atLeast,
    ratio: rate / atLeast,
    target: `≥ ${atLeast}`,
    met: rate >= atLeast,
  };
};

const badCases = async (scanner: Scanner): Promise<Measure[]> => {
  const { prefix, percent, utf16, base64, hex, plain } = hardTexts();
  using prefixed = await createScanner({ secrets: keysWithOnePrefix(10_000) });
  const measure = (name: string, of: Scanner, bytes: Uint8Array, atLeast: number, size?: number) =>
    absolute(`scanner-bad-${name}`, ours(of, bytes, size), bytes.length, atLeast);
  return [
    await measure("10000-keys-one-prefix", prefixed, prefix, 100),
    await measure("percent", scanner, percent, 40),
    await measure("utf16", scanner, utf16, 40),
    await measure("base64", scanner, base64, 40),
    await measure("hex", scanner, hex, 40),
    await measure("256-byte-chunks", scanner, plain, 30, 256),
  ];
};

/** The longest that the event loop waits while 10,000 secrets are entered. */
const longestSlice = async (): Promise<Measure> => {
  const secrets = secretsFor(10_000);
  let longest = 0;
  let isDone = false;
  const building = createScanner({ secrets }).then((scanner) => {
    isDone = true;
    scanner.close();
  });
  while (!isDone) {
    const start = performance.now();
    await nextTurn();
    longest = Math.max(longest, performance.now() - start);
  }
  await building;
  const target = 10;
  return {
    name: "scanner-build-longest-slice",
    unit: "ms",
    ours: longest,
    theirs: target,
    ratio: longest / target,
    target: `≤ ${target}`,
    met: longest <= target,
  };
};

/** The scanner against two libraries' ways to look for many strings, the speed of memory, and texts that are made hard. */
export const measureScanner = async (): Promise<Measure[]> => {
  const measures: Measure[] = [await longestSlice()];
  const scanners = new Map<number, Scanner>();
  const targets = [
    [10, 8],
    [1000, 25],
    [10_000, 30],
  ] as const;
  for (const [count, atLeast] of targets) {
    const secrets = secretsFor(count);
    const texts = textsWith(secrets);
    const scanner = await createScanner({ secrets });
    scanners.set(count, scanner);
    const peers = [regexPeer(secrets), ahoCorasickPeer(secrets)];
    measures.push(...(await againstPeers(count, scanner, texts, peers, { atLeast })));
    if (count !== 1000) continue;
    const javaScript = javaScriptScanner(secrets);
    const options = { suffix: "-javascript", atLeast: 15 };
    measures.push(...(await againstPeers(count, javaScript, texts, peers, options)));
    measures.push(...(await againstIndexOf(scanner, secrets, texts)));
  }
  const texts = textsWith(secretsFor(10));
  const timeOf = (count: number) => () =>
    texts.reduce((sum, { bytes }) => sum + seconds(ours(scanners.get(count)!, bytes)), 0) * 1000;
  measures.push(
    await compareDurations({
      name: "scanner-10000-vs-10-secrets",
      ours: timeOf(10_000),
      theirs: timeOf(10),
      atMost: 4,
    }),
    ...(await badCases(scanners.get(10_000)!)),
  );
  return measures;
};
