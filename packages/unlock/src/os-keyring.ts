import { type Bytes, CryptoError, toPlain } from "@lango/crypto-core";
import type { KeyringBackend, KeyringEntry } from "./types.ts";

/** A keyring that can be written to. */
export interface WritableKeyring extends KeyringBackend {
  /**
   * Writes an entry and reads it back.
   *
   * @param secret - As {@link KeyringBackend.get} gives it; UTF-8, not empty.
   * @throws CryptoError `ERR_INVALID_ARGUMENT` for what is no text; otherwise like `get`.
   */
  set(entry: KeyringEntry, secret: Uint8Array): Promise<void>;
  /** @returns Whether there was one. @throws CryptoError like `get`. */
  delete(entry: KeyringEntry): Promise<boolean>;
}

export interface OsKeyringOptions {
  /** 32 hex characters: each vault has entries of its own. */
  readonly vaultId: string;
  /** Imports a package of the application: `(name) => import(name)`. Rejects where it is not installed. */
  readonly import: (name: string) => Promise<unknown>;
  /** What to do for a package, for the error when there is none. Default: `Install NAME`. */
  readonly installHint?: ((name: string) => string) | undefined;
  /** Milliseconds that any call may take; a keyring daemon that does not start would hang for ever. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
}

/** What the packages share: the interface of keytar. */
interface Keytar {
  getPassword(service: string, account: string): Promise<string | null>;
  setPassword(service: string, account: string, password: string): Promise<void>;
  deletePassword(service: string, account: string): Promise<boolean>;
}

/** Packages that reach the keyring of the system, in the order in which they are tried: what a user installed goes first. */
const PACKAGES: readonly (readonly [string, (module: unknown) => Keytar])[] = [
  ["keytar", asKeytar],
  ["@github/keytar", asKeytar],
  ["@napi-rs/keyring", asNapiKeyring],
];

const SERVICE = "lango";
const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * The keyring of the operating system: Keychain, Credential Manager, or a Secret Service on D-Bus; never the keyring of the
 * Linux kernel, which forgets everything at the next start. Nothing is loaded before the first call.
 *
 * Every call rejects with `ERR_UNAVAILABLE` when no package for it is installed, when the keyring is locked, cannot be
 * reached, or does not answer in time; with `ERR_CONFIG` for what it says otherwise, and for an entry that is empty.
 */
export const createOsKeyring = (options: OsKeyringOptions): WritableKeyring => {
  const { vaultId, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const account = (entry: KeyringEntry): string => `${vaultId}/${entry}`;
  let loaded: Promise<Keytar> | undefined;
  const call = async <T>(run: (keytar: Keytar) => Promise<T>): Promise<T> => {
    loaded ??= load(options);
    const keytar = await loaded;
    return withinTime(timeoutMs, () => run(keytar));
  };
  const get = async (entry: KeyringEntry): Promise<Bytes | undefined> => {
    const text = await call((keytar) => keytar.getPassword(SERVICE, account(entry)));
    if (text === null) return undefined;
    if (text === "") throw failed(`its entry ${account(entry)} is empty`);
    return toPlain(Buffer.from(text, "utf8"));
  };
  return {
    name: NAMES[process.platform] ?? "Secret Service",
    get,
    async set(entry, secret) {
      const text = textOf(secret);
      await call((keytar) => keytar.setPassword(SERVICE, account(entry), text));
      const stored = await call((keytar) => keytar.getPassword(SERVICE, account(entry)));
      if (stored !== text) throw failed("it gave back something else than was stored");
    },
    delete: (entry) => call((keytar) => keytar.deletePassword(SERVICE, account(entry))),
  };
};

const NAMES: Readonly<Record<string, string>> = {
  darwin: "Keychain",
  win32: "Credential Manager",
};

async function load({
  import: importPackage,
  installHint = (name) => `Install ${name}`,
}: OsKeyringOptions): Promise<Keytar> {
  const problems: string[] = [];
  for (const [name, adapt] of PACKAGES) {
    try {
      return adapt(await importPackage(name));
    } catch (error) {
      // One that is installed and does not load: its native part is missing, because install scripts did not run.
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "ERR_MODULE_NOT_FOUND") problems.push(`${name}: ${firstLine(message)}`);
    }
  }
  const found = problems.length === 0 ? "none is installed" : problems.join("; ");
  throw new CryptoError("ERR_UNAVAILABLE", `No package reaches the keyring: ${found}`, {
    context: { hint: installHint("@napi-rs/keyring") },
  });
}

function asKeytar(module: unknown): Keytar {
  const { default: byDefault, ...named } = module as { readonly default?: Keytar } & Keytar;
  const keytar = byDefault ?? named;
  if (typeof keytar.getPassword !== "function") throw new Error("it has no getPassword");
  if (process.platform !== "linux") return keytar;
  return {
    async getPassword(service, account) {
      const password = await keytar.getPassword(service, account);
      // A locked item is none to keytar; only writing tells.
      if (password === null) {
        const probe = `${account}/probe`;
        await keytar.setPassword(service, probe, "probe");
        await keytar.deletePassword(service, probe);
      }
      return password;
    },
    setPassword: (service, account, password) => keytar.setPassword(service, account, password),
    deletePassword: (service, account) => keytar.deletePassword(service, account),
  };
}

interface NapiKeyring {
  readonly AsyncEntry: new (
    service: string,
    account: string,
    options: { readonly linux: { readonly store: "secret-service" } },
  ) => {
    getPassword(): Promise<string | null>;
    setPassword(password: string): Promise<void>;
    deletePassword(): Promise<boolean>;
  };
}

function asNapiKeyring(module: unknown): Keytar {
  const { AsyncEntry } = module as NapiKeyring;
  // Left to itself it takes the keyring of the kernel where there is no Secret Service.
  const entry = (service: string, account: string) =>
    new AsyncEntry(service, account, { linux: { store: "secret-service" } });
  return {
    getPassword: async (service, account) => entry(service, account).getPassword(),
    setPassword: async (service, account, password) =>
      entry(service, account).setPassword(password),
    deletePassword: async (service, account) => entry(service, account).deletePassword(),
  };
}

async function withinTime<T>(timeoutMs: number, run: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(unavailable(`it did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([run().catch(classified), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The packages tell by words alone what went wrong. */
function classified(error: Error): never {
  const message = firstLine(error.message);
  if (LOCKED.test(message)) throw unavailable("it is locked");
  if (OUT_OF_REACH.test(message)) throw unavailable(`it cannot be reached (${message})`);
  throw failed(message);
}

const LOCKED =
  /\blocked\b|prompt was dismissed|user name or passphrase|interaction is not allowed/i;
const OUT_OF_REACH = /d-?bus|autolaunch|secret service|no such interface|did not receive a reply/i;

const unavailable = (problem: string): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", `The keyring of the system: ${problem}`);

const failed = (problem: string): CryptoError =>
  new CryptoError("ERR_CONFIG", `The keyring of the system failed: ${problem}`, {
    context: { hint: "Look at its entries of the service named lango" },
  });

function textOf(secret: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(secret);
    if (text !== "" && !text.includes("\0")) return text;
  } catch {}
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    "Only text that is not empty can be stored in a keyring",
  );
}

const firstLine = (message: string): string => message.split("\n", 1)[0] ?? "";
