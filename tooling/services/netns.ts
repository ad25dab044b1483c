import { type ChildProcess, type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";

/** A program that runs on a host. */
export interface HostProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when it is gone and its output was read. */
  readonly ended: Promise<{ readonly status: number | null; readonly signal: string | null }>;
  /** Everything it has written so far, standard output and errors together. */
  output(): string;
  /** Signals the program itself, not what runs it. Default: SIGTERM. */
  kill(signal?: NodeJS.Signals): void;
}

export interface HostOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/**
 * A second machine as far as networks go: its own network, processes and /run, on the disk of this one.
 * What runs on it is gone with it, whatever it does.
 */
export interface Host {
  readonly ipv4: string;
  readonly ipv6: string;
  /** Starts a program, which may be a path such as `process.execPath`. */
  start(program: string, args: readonly string[], options?: HostOptions): HostProgram;
  /** Runs a program to its end. */
  run(program: string, args: readonly string[], options?: HostOptions): Promise<HostResult>;
}

export interface HostResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TwoHosts {
  readonly a: Host;
  readonly b: Host;
  /** Cuts the cable: what is sent is lost, and open connections hear nothing. */
  linkDown(): Promise<void>;
  linkUp(): Promise<void>;
}

/** The network card of each host; its multicast is open, as on a home network. */
export const HOST_INTERFACE = "eth0";

/**
 * Joins two hosts by a cable, IPv4 and IPv6, for as long as `use` takes. Needs the service `netns`.
 *
 * The hosts end with the process that made them, also when it is killed: the first process of each reads from it.
 */
export async function withTwoHosts<T>(use: (hosts: TwoHosts) => Promise<T>): Promise<T> {
  const a = await bootHost();
  try {
    const b = await bootHost();
    try {
      const cable = ["link", "add", HOST_INTERFACE, "type", "veth", "peer", "name", HOST_INTERFACE];
      await finish("nsenter", [...enter(a, "--net"), "ip", ...cable, "netns", String(b.pid)]);
      const hosts = [host(a, 1), host(b, 2)] as const;
      await Promise.all(hosts.map(configure));
      return await use({
        a: hosts[0],
        b: hosts[1],
        linkDown: () => ip(hosts[1], ["link", "set", HOST_INTERFACE, "down"]),
        linkUp: () => configure(hosts[1]),
      });
    } finally {
      await b.stop();
    }
  } finally {
    await a.stop();
  }
}

interface Booted {
  /** Of the first process of the host, as this machine counts. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** The first process: it prepares the host, and ends, and all with it, when nobody holds its standard input. */
const FIRST = "mount -t tmpfs tmpfs /run && ip link set lo up && echo up && exec cat >/dev/null";

async function bootHost(): Promise<Booted> {
  const spaces = ["--mount", "--net", "--pid", "--propagation", "private", "--mount-proc"];
  const child = spawn("unshare", [...spaces, "--fork", "--kill-child", "sh", "-c", FIRST], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), ended]);
  const pid = childOf(child);
  if (pid === undefined) throw new Error("a network namespace could not be made");
  return {
    pid,
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** `unshare` and `nsenter` fork into a space of processes: the program is their only child. */
function childOf({ pid }: ChildProcess): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim()) || undefined;
  } catch {
    return undefined;
  }
}

const enter = ({ pid }: Booted, ...spaces: string[]): string[] => [
  "--target",
  String(pid),
  ...spaces,
  "--",
];

function host(booted: Booted, number: number): Host {
  const start = (program: string, args: readonly string[], options: HostOptions = {}) =>
    spawn("nsenter", [...enter(booted, "--mount", "--net", "--pid"), program, ...args], options);
  return {
    ipv4: `10.77.0.${number}`,
    ipv6: `fd00:77::${number}`,
    start: (program, args, options) => running(start(program, args, options)),
    async run(program, args, options) {
      const child = start(program, args, options);
      const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
      const [status] = await once(child, "close");
      return { status, stdout: stdout(), stderr: stderr() };
    },
  };
}

function running(child: ChildProcessByStdio<Writable, Readable, Readable>): HostProgram {
  const output = collect(child.stdout, child.stderr);
  // A program that is gone takes no input; `ended` tells of it.
  child.stdin.on("error", () => {});
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended: once(child, "close").then(([status, signal]) => ({ status, signal })),
    output,
    kill(signal = "SIGTERM") {
      const program = childOf(child);
      if (program !== undefined) process.kill(program, signal);
    },
  };
}

function collect(...streams: Readable[]): () => string {
  let text = "";
  for (const stream of streams) {
    stream.setEncoding("utf8");
    stream.on("data", (chunk) => {
      text += chunk;
    });
  }
  return () => text;
}

/** A network card that is taken down forgets its IPv6 address and its routes. */
async function configure(host: Host): Promise<void> {
  await ip(host, ["link", "set", HOST_INTERFACE, "up"]);
  await ip(host, ["address", "replace", `${host.ipv4}/24`, "dev", HOST_INTERFACE]);
  // Without the check for doubles, which takes a second.
  await ip(host, ["address", "replace", `${host.ipv6}/64`, "dev", HOST_INTERFACE, "nodad"]);
  await ip(host, ["route", "replace", "default", "dev", HOST_INTERFACE]);
}

async function ip(host: Host, args: readonly string[]): Promise<void> {
  const { status, stderr } = await host.run("ip", args);
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}

function finish(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, args, (error) => (error === null ? resolve() : reject(error)));
  });
}
