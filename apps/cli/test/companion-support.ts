import { spawn } from "node:child_process";
import { expect, onTestFinished } from "vitest";
import { good } from "./provider-support.ts";
import { environment, LANGO, vaultHome } from "./support.ts";

/** `lango companion serve` in a process of its own, without a terminal. */
export interface Serve {
  readonly url: string;
  /** Everything it has told so far. */
  output(): string;
  see(text: string): Promise<void>;
  /** Ends it with a signal; its exit status. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface ServeOptions {
  /** Default: a free one. */
  readonly port?: number;
  readonly args?: readonly string[];
  /** What to run instead of {@link LANGO}. */
  readonly program?: readonly string[];
  /** Waits for an agent, with the code that this is given. */
  readonly pair?: (code: string, url: string) => Promise<unknown>;
}

export async function serve(home: string, options: ServeOptions = {}): Promise<Serve> {
  const { port = 0, args = [], program = LANGO, pair } = options;
  const pairing = pair === undefined ? [] : ["--pair", "--code-fd", "3"];
  const listening = ["--listen", `127.0.0.1:${port}`, "--name", "phone"];
  const child = spawn(
    process.execPath,
    [...program, "companion", "serve", ...listening, ...pairing, ...args],
    { env: environment(home), stdio: ["ignore", "ignore", "pipe", "pipe"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  let output = "";
  let code = "";
  child.stderr?.on("data", (chunk) => {
    output += chunk;
  });
  child.stdio[3]?.on("data", (chunk: Buffer) => {
    code += chunk;
  });
  const see = (text: string): Promise<void> =>
    expect.poll(() => output, { timeout: 20_000 }).toContain(text);
  await see("listens at https://");
  const url = /listens at (https:\S+)/.exec(output)?.[1] ?? "";
  if (pair !== undefined) {
    await expect.poll(() => code, { timeout: 20_000 }).toMatch(/\n$/);
    await pair(code.trim(), url);
  }
  return {
    url,
    output: () => output,
    see,
    stop(signal = "SIGTERM") {
      child.kill(signal);
      return ended;
    },
  };
}

/** Joins with a code that comes over a pipe, as from another program. */
export async function joinPairing(home: string, code: string, url: string): Promise<string> {
  const args = ["companion", "pair", "--url", url, "--name", "laptop", "--code-fd", "0"];
  return good(args, { home, input: `${code}\n` });
}

export interface Devices {
  readonly agent: string;
  readonly companion: string;
  readonly served: Serve;
}

/**
 * Two homes that are paired. The companion serves the keys `release` (signing) and `data` (encryption), and the agent's
 * settings name it.
 */
export async function paired(args: readonly string[] = []): Promise<Devices> {
  const agent = await vaultHome();
  const companion = await vaultHome();
  const keys = [
    ["release", "--type", "signing", "--algorithm", "ed25519"],
    ["data", "--type", "encryption"],
  ];
  for (const key of keys) await good(["keys", "create", ...key], { home: companion });
  const served = await serve(companion, {
    args,
    pair: (code, url) => joinPairing(agent, code, url),
  });
  await served.see('paired with the agent "laptop"');
  const settings = { rpcUrl: served.url, provider: "rpc", keyId: "data" };
  for (const [name, value] of Object.entries(settings)) {
    await good(["settings", "set", `security.signer.${name}`, value], { home: agent });
  }
  return { agent, companion, served };
}
