import { mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createLocalProvider } from "@lango/crypto-local";
import { createUnlocker } from "@lango/unlock";
import { openVault } from "@lango/vault";
import { expect } from "vitest";
import { folder, lango, PASSPHRASE, type Ran, type RunOptions } from "./support.ts";

/** A derivation that is weak on purpose: the tests unlock hundreds of times. */
export const WEAK = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];

/** A home with a configuration and no vault. */
export function homeWith(security: object, name = "home"): string {
  const home = join(folder(), name);
  mkdirSync(home, { mode: 0o700 });
  configure(home, security);
  return home;
}

export function configure(home: string, security: object): void {
  writeFileSync(join(home, "config.json"), JSON.stringify({ security }), { mode: 0o600 });
}

/** Runs lango and expects that all goes well; its standard output. */
export async function good(args: readonly string[], options: RunOptions): Promise<string> {
  const ran: Ran = await lango(args, options);
  expect(ran.code, `${args.join(" ")}: ${ran.stderr}`).toBe(0);
  return ran.stdout;
}

/**
 * Adds a provider slot as another machine, or an earlier lango, made it: its key is anything here, as nobody is asked for it.
 *
 * @returns Its id.
 */
export async function addForeignSlot(home: string, uri: string): Promise<string> {
  const versions = [{ version: 1, material: new Uint8Array(32).fill(7) }];
  const provider = createLocalProvider({ keys: [{ id: "k", algorithm: "aes-256-gcm", versions }] });
  const unlock = createUnlocker({ home, env: { LANGO_PASSPHRASE: PASSPHRASE }, stdinFree: false });
  await using vault = await openVault({ home, unlock });
  return (await vault.slots.add({ kind: "provider", uri, provider, keyId: "k" })).id;
}

/** The line of `status`, `keys describe` and the like that begins with a name. */
export const line = (text: string, name: string): string | undefined =>
  text
    .split("\n")
    .find((each) => each.startsWith(`${name} `))
    ?.slice(name.length)
    .trim();

/** An address in front of a server that can go away and come back, so that the settings need not change. */
export interface Door {
  readonly url: string;
  close(): Promise<void>;
  open(): Promise<void>;
}

export async function openDoor(port: number): Promise<Door> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const behind = connect(port, "127.0.0.1");
    for (const socket of [client, behind]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    client.pipe(behind).pipe(client);
  });
  const listen = (at: number): Promise<void> =>
    new Promise((resolve) => server.listen(at, "127.0.0.1", resolve));
  await listen(0);
  const address = server.address();
  const own = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${own}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    open: () => listen(own),
  };
}
