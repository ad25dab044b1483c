import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Masker } from "@lango/guard";
import type { Masking } from "./masking.ts";
import { writeFully } from "./outlet.ts";

/** A running command whose output goes through the scanner, and the end of that output. */
export interface PipedChild {
  readonly child: ChildProcess;
  /** To be called when the command has ended: resolves when what it wrote is out. */
  finish(): Promise<void>;
}

/**
 * Starts a command with standard output and standard error masked, each for itself.
 *
 * @param pipes - What {@link makePipes} made.
 */
export function spawnMasked(
  file: string,
  words: readonly string[],
  options: Pick<SpawnOptions, "env" | "argv0">,
  masking: Masking,
  pipes: Pipes | undefined,
): PipedChild {
  const child = spawn(file, words, {
    ...options,
    stdio: ["inherit", pipes?.[0].write ?? "pipe", pipes?.[1].write ?? "pipe"],
  });
  for (const { write } of pipes ?? []) closeSync(write);
  const sources = pipes?.map(({ read }) => new Socket({ fd: read, writable: false }));
  // Without a scanner nothing of it can go out, so it need not go on.
  const giveUp = () => child.kill();
  const streams = [
    new MaskedStream(sources?.[0] ?? child.stdout!, 1, masking, giveUp),
    new MaskedStream(sources?.[1] ?? child.stderr!, 2, masking, giveUp),
  ];
  return {
    child,
    async finish() {
      await Promise.all(streams.map((stream) => stream.finish()));
    },
  };
}

interface Pipe {
  readonly read: number;
  readonly write: number;
}
/** For standard output and standard error. */
export type Pipes = readonly [Pipe, Pipe];

/**
 * Two pipes of the system. What Node makes itself are sockets, and a program that opens `/dev/stderr` anew cannot open
 * those. `undefined` where there is no `mkfifo`, or no place for a file.
 */
export async function makePipes(path: string | undefined): Promise<Pipes | undefined> {
  let folder: string;
  try {
    folder = mkdtempSync(join(tmpdir(), "lango-run-"));
  } catch {
    return undefined;
  }
  try {
    const [out, err] = [join(folder, "out"), join(folder, "err")];
    // Nothing of the environment but where to find it: it may hold what opens the vault.
    const making = spawn("mkfifo", ["-m", "600", out, err], {
      stdio: "ignore",
      env: { PATH: path },
    });
    const [status] = await once(making, "exit");
    return status === 0 ? [openPipe(out), openPipe(err)] : undefined;
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function openPipe(path: string): Pipe {
  // In this order: opened for reading first, neither waits for the other.
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { read, write: openSync(path, constants.O_WRONLY) };
}

/** Carries one stream of the command to a descriptor of ours, through the scanner. */
class MaskedStream {
  readonly #source: Readable;
  readonly #fd: number;
  readonly #masking: Masking;
  readonly #giveUp: () => void;
  #masker: Masker | undefined;
  #chunks = 0;
  #isEnded = false;
  /** The last chunk on its way. */
  #passing: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(source: Readable, fd: number, masking: Masking, giveUp: () => void) {
    this.#source = source;
    this.#fd = fd;
    this.#masking = masking;
    this.#giveUp = giveUp;
    source.on("data", (chunk: Uint8Array) => {
      this.#chunks += 1;
      // One at a time: what is not read waits in the pipe, and the command with it.
      source.pause();
      this.#passing = this.#pass(chunk).then(
        () => void source.resume(),
        (error) => this.#stop(error),
      );
    });
    const end = () => {
      this.#isEnded = true;
    };
    source.on("end", end).on("close", end).on("error", end);
  }

  /**
   * What the command wrote is in the pipe when it has ended, and is waited for. What its own children may write later is
   * not: they may run for ever.
   */
  async finish(): Promise<void> {
    let seen: number;
    do {
      await this.#passing;
      seen = this.#chunks;
      // A turn of the event loop looks at every descriptor; the first may be half over.
      for (let turn = 0; turn < 3; turn++) await setImmediate();
    } while (seen !== this.#chunks && !this.#isEnded);
    this.#source.destroy();
    await this.#passing;
    if (this.#masker !== undefined && this.#failure === undefined) {
      await this.#write(this.#masker.end()).catch((error) => this.#stop(error));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #pass(chunk: Uint8Array): Promise<void> {
    this.#masker ??= (await this.#masking.scanner()).createMasker();
    await this.#write(this.#masker.write(chunk));
  }

  async #write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) await writeFully(this.#fd, piece);
  }

  #stop(error: unknown): void {
    // Without a reader the command shall learn it as it would by itself; every other fault is ours.
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") {
      this.#failure = error;
      this.#giveUp();
    }
    this.#masker = undefined;
    this.#source.destroy();
  }
}
