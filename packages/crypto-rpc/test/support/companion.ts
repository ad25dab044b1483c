import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Identity, loadIdentity } from "@lango/companion";
import { makeKeys } from "./keys.ts";
import { type MemoryPeers, type Pin, peersOf } from "./pins.ts";

/** What `companion-main.ts` is told. */
export interface CompanionSettings {
  readonly name: string;
  /** Of its identity. */
  readonly folder: string;
  readonly pins: readonly Pin[];
  readonly keysFile?: string;
  /** Where each signature leaves a line. */
  readonly usesFile?: string | undefined;
  /** Where results are kept. Default: in memory. */
  readonly resultsFile?: string;
  /** Milliseconds that each signature takes longer. */
  readonly delayMs?: number;
  /** Before this key signs, a person is asked, who says yes after some milliseconds. */
  readonly asks?: { readonly keyId: string; readonly ms: number };
  readonly listen?: { readonly host: string; readonly port: number };
  /** The URL of an agent's listener; then it does not listen itself. */
  readonly dial?: string;
  readonly pkcs11?: {
    readonly modulePath: string;
    readonly env: Readonly<Record<string, string>>;
    readonly token: { readonly label: string };
    readonly pin: string;
  };
}

type StartOptions = Omit<Partial<CompanionSettings>, "folder" | "pins">;

/** A companion and an agent that are paired, on this machine. */
export interface Pair {
  readonly folder: string;
  readonly keysFile: string;
  readonly identity: Identity;
  /** The agent's pins. */
  readonly peers: MemoryPeers;
  readonly companion: Pin;
  readonly agent: Pin;
  /** Starts the companion in a process of its own, also again after its end. */
  start(settings?: StartOptions): Promise<CompanionProcess>;
  /** The arguments with which Node is that companion, for another machine. */
  args(settings: StartOptions): string[];
  /** What was signed with the companion's keys, in any of its processes. */
  uses(): string[];
  remove(): void;
}

export interface CompanionProcess {
  /** Where it listens; it may not. */
  readonly url: string;
  readonly port: number;
  readonly child: ChildProcess;
  /** Everything it wrote, but for the port. */
  output(): string;
  revoke(peerId: string): void;
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL("companion-main.ts", import.meta.url));

/** What Node is started with to be a companion. */
const argsOf = (settings: CompanionSettings): string[] => [
  "--conditions=@lango/source",
  main,
  JSON.stringify(settings),
];
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export const makePair = async (): Promise<Pair> => {
  const folder = mkdtempSync(path.join(tmpdir(), "lango-rpc-"));
  const keysFile = path.join(folder, "keys.json");
  const usesFile = path.join(folder, "uses");
  writeFileSync(keysFile, makeKeys());
  writeFileSync(usesFile, "");
  const identityOf = (name: string) => loadIdentity({ folder: path.join(folder, name), name });
  const pinOf = (role: Pin["role"], { fingerprint }: Identity): Pin => ({
    id: randomBytes(16).toString("base64url"),
    name: `the ${role}`,
    role,
    fingerprint,
  });
  const identity = await identityOf("agent");
  const companion = pinOf("companion", await identityOf("companion"));
  const agent = pinOf("agent", identity);
  const base = { name: companion.name, folder: path.join(folder, "companion"), pins: [agent] };
  return {
    folder,
    keysFile,
    identity,
    peers: peersOf([companion]),
    companion,
    agent,
    start: (settings) => startCompanion({ ...base, keysFile, usesFile, ...settings }),
    args: (settings) => argsOf({ ...base, keysFile, usesFile, ...settings }),
    uses: () => readFileSync(usesFile, "utf8").split("\n").filter(Boolean),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};

const startCompanion = async (settings: CompanionSettings): Promise<CompanionProcess> => {
  const child = spawn(process.execPath, argsOf(settings), { stdio: ["pipe", "pipe", "pipe"] });
  running.add(child);
  const ended = once(child, "exit").then(() => running.delete(child));
  let output = "";
  child.stderr.on("data", (chunk) => {
    output += chunk;
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once("data", (chunk) => resolve(Number(chunk)));
    child.once("exit", () => reject(new Error(`the companion ended: ${output}`)));
  });
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  // Who kills it knows.
  child.stdin.on("error", () => {});
  return {
    url: `wss://127.0.0.1:${port}`,
    port,
    child,
    output: () => output,
    revoke: (peerId) => child.stdin.write(`${peerId}\n`),
    stop: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
};
