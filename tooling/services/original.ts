import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("./python/original.py", import.meta.url));

/** The Python programs that make a database of the original Lango. */
export interface OriginalMakers {
  /** Path of the service `phone`, which has `cryptography`. */
  readonly seals: string;
  /** Path of the service `sqlcipher`. */
  readonly writes: string;
}

/** A secret of the database that is made. */
export interface MadeSecret {
  readonly name: string;
  readonly value: Uint8Array;
  /** What the registry names its key. Default `local`. */
  readonly remote?: string;
  /** Default: the key of the mode. */
  readonly sealedBy?: "legacy" | "master" | "service";
}

/** What database is made. */
export interface OriginalWish {
  readonly file: string;
  readonly passphrase: string;
  /** Default `legacy`. */
  readonly mode?: "legacy" | "envelope";
  readonly secrets: readonly MadeSecret[];
  /** What the file is encrypted with; `passphrase` is what the original does in legacy mode. Default: nothing. */
  readonly encrypted?: "passphrase" | "raw";
  /** Default 4,096. */
  readonly pageSize?: number;
  /** How many of the last secrets are in the log alone. Default 0. */
  readonly inLog?: number;
  /** Changes what is written, before it is. */
  readonly alter?: (document: OriginalDocument) => void;
}

/** What the seals are made of, base64 but for the envelope. */
export interface OriginalDocument {
  salt: string;
  checksum: string | null;
  legacy: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: a test puts anything into it
  envelope: any;
  rawKey: string;
  secrets: { name: string; value: string; remote?: string }[];
}

/** Makes a database of the original, and in envelope mode `envelope.json` beside it, by means that know nothing of Lango. */
export function makeOriginal(makers: OriginalMakers, wish: OriginalWish): OriginalDocument {
  const { file, passphrase, mode = "legacy", encrypted, pageSize = 4096, inLog = 0 } = wish;
  const sealedBy = mode === "legacy" ? "legacy" : "master";
  const secrets = wish.secrets.map(({ value, ...secret }) => ({
    ...{ sealedBy, ...secret },
    value: Buffer.from(value).toString("base64"),
  }));
  const sealed = run(makers.seals, "seal", { passphrase, secrets });
  const document = { ...(sealed as OriginalDocument), legacy: mode === "legacy" };
  wish.alter?.(document);
  const key = encrypted && (encrypted === "raw" ? document.rawKey : passphrase);
  run(makers.writes, "make", { ...document, file, key: key ?? null, pageSize, inLog });
  if (mode === "envelope") {
    const path = join(dirname(file), "envelope.json");
    writeFileSync(path, JSON.stringify(document.envelope, null, 2), { mode: 0o600 });
  }
  return document;
}

/** Keeps a database open, as the original does while it runs; resolves once it is. */
export function holdOriginal(
  { writes }: OriginalMakers,
  wish: { readonly file: string; readonly key?: string },
): Promise<ChildProcess> {
  const child = spawn(writes, [SCRIPT, "hold"], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.write(`${JSON.stringify(wish)}\n`);
  return new Promise((resolve, reject) => {
    child.stdout.once("data", () => resolve(child));
    child.once("error", reject);
  });
}

function run(python: string, command: string, document: object): unknown {
  const ran = spawnSync(python, [SCRIPT, command], {
    input: `${JSON.stringify(document)}\n`,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (ran.stdout === "") throw new Error(`original.py ${command}: ${ran.stderr}`);
  return JSON.parse(ran.stdout);
}
