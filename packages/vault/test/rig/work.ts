import { type CryptoProvider, isCryptoError, utf8 } from "@lango/crypto-core";
import type { Kdf } from "@lango/envelope";
import type { SlotInfo, UnlockResult } from "@lango/unlock";
import {
  acceptRollback,
  type CreateVaultOptions,
  createVault,
  openVault,
  type RekeyCredential,
  type Vault,
} from "../../src/index.ts";
import { remote } from "./remote.ts";

type Say = (line: string) => void;

export const quickKdf = (): Kdf => ({
  name: "pbkdf2-sha256",
  iterations: 1000,
  salt: crypto.getRandomValues(new Uint8Array(16)),
});

export const unlockWith =
  (passphrase: string) =>
  async (slots: readonly SlotInfo[]): Promise<UnlockResult> => ({
    credential: {
      kind: "passphrase",
      source: "rig",
      secret: utf8(passphrase),
      ambient: false,
      slotIds: slots.map(({ id }) => id),
    },
    skipped: [],
  });

export const passphraseOf = (step: number): string => `passphrase number ${step}`;

/** The variable that puts the vaults of the rig into a PostgreSQL database; its processes inherit it. */
export const URL_VARIABLE = "LANGO_RIG_URL";

/** Where the vault of a home is, as the functions that open one take it. */
export const place = (home: string): Pick<CreateVaultOptions, "home" | "store"> => {
  const url = process.env[URL_VARIABLE];
  return { home, ...(url === undefined ? {} : { store: { url } }) };
};

export const open = (home: string, passphrase: string = passphraseOf(0)): Promise<Vault> =>
  openVault({ ...place(home), unlock: unlockWith(passphrase), providers: remotes() });

/** Providers that every process of a test makes for itself, with the same keys. */
export const remotes = (): Record<string, CryptoProvider> => ({
  "aws-kms": remote("aws-kms").provider,
  "gcp-kms": remote("gcp-kms").provider,
});

export const create = (
  home: string,
  defaultKey?: CreateVaultOptions["defaultKey"],
  encrypted = false,
): Promise<Vault> =>
  createVault({
    ...place(home),
    credentials: [{ kind: "passphrase", passphrase: utf8(passphraseOf(0)) }],
    kdf: quickKdf(),
    acceptWeakKdf: true,
    defaultKey,
    database: { enabled: encrypted },
  });

export const isEncrypted = (step: number): boolean => step % 4 >= 2;

/** One vault after another, in folders of their own; every other one under a provider's key, half of each kind encrypted. */
export const onboardLoop = async (home: string, say: Say): Promise<void> => {
  for (let step = 0; ; step += 1) {
    say(`begin ${step}`);
    const key = { uri: "aws-kms:k1", provider: remote().provider };
    const defaultKey = step % 2 === 0 ? undefined : key;
    await (await create(`${home}-${step}`, defaultKey, isEncrypted(step))).close();
    say(`done ${step}`);
  }
};

/** Writes, reads, rolls back and deletes names of its own. */
export const secretsLoop = async (home: string, say: Say): Promise<void> => {
  const vault = await open(home);
  for (let step = 0; ; step += 1) {
    const name = `loop/${step % 7}`;
    say(`begin ${step}`);
    await vault.secrets.set(name, utf8(`value ${step}`));
    say(`done ${step}`);
    if (step % 3 === 0) await vault.secrets.get(name);
  }
};

/** From passphrase n to passphrase n + 1, without end. */
export const changeLoop = async (home: string, say: Say): Promise<void> => {
  const first = Number(process.env["RIG_STEP"] ?? 0);
  const vault = await open(home, passphraseOf(first));
  for (let step = first; ; step += 1) {
    say(`begin ${step}`);
    await vault.slots.changePassphrase({
      oldPassphrase: utf8(passphraseOf(step)),
      newPassphrase: utf8(passphraseOf(step + 1)),
      kdf: quickKdf(),
      acceptWeakKdf: true,
    });
    say(`done ${step}`);
  }
};

/** A new vault key with each step, and what it shall open. */
export const rekeyLoop = async (home: string, say: Say): Promise<void> => {
  let vault = await open(home);
  for (let step = Number(process.env["RIG_STEP"] ?? 0); ; step += 1) {
    say(`begin ${step}`);
    ({ vault } = await vault.rekey({ credentials: await keptSlots(vault) }));
    await vault.secrets.set("step", utf8(`value ${step}`));
    say(`done ${step}`);
  }
};

/** All that follows a compromise, from wherever an earlier process was, and then from the start. */
export const compromisedLoop = async (home: string, say: Say): Promise<void> => {
  let vault = await open(home);
  for (let step = 0; ; step += 1) {
    say(`begin ${step}`);
    if (!(await vault.status()).renewing) {
      ({ vault } = await vault.rekey({ credentials: await keptSlots(vault), compromised: true }));
    }
    await finishCompromised(vault);
    say(`done ${step}`);
  }
};

export const finishCompromised = async ({ rotation, renewRows }: Vault): Promise<void> => {
  await ((await rotation.status()) ? rotation.resume() : rotation.start());
  await renewRows();
};

/** The credentials of all slots of the rig: they have one passphrase. */
export const keptSlots = async (vault: Vault): Promise<RekeyCredential[]> =>
  (await vault.slots.list()).map(({ id }) => ({
    slotId: id,
    credential: {
      ...{ kind: "passphrase", passphrase: utf8(passphraseOf(0)) },
      ...{ kdf: quickKdf(), acceptWeakKdf: true },
    },
  }));

/** Opens, waits until another process has changed the vault key, and tries everything with the old one. */
export const staleOnce = async (home: string, say: Say): Promise<void> => {
  const vault = await open(home);
  await vault.secrets.get("a");
  say("ready");
  await new Promise((resolve) => process.stdin.once("data", resolve));
  for (const call of [
    () => vault.secrets.get("a"),
    () => vault.secrets.set("a", utf8("lost")),
    () => vault.keys.create({ name: "lost", type: "encryption" }),
    () => vault.slots.add({ kind: "env", key: new Uint8Array(32).fill(7) }),
    () => vault.audit.append({ action: "lost" }),
  ]) {
    const code = await call().then(
      () => "written",
      (error: unknown) => (isCryptoError(error) ? error.code : String(error)),
    );
    say(`code ${code}`);
  }
  await vault.close();
  process.exit();
};

/** Opens, writes and closes, which anchors the log. */
export const anchorLoop = async (home: string, say: Say): Promise<void> => {
  for (let step = 0; ; step += 1) {
    const unlock = unlockWith(passphraseOf(0));
    const vault = await openVault({ home, unlock, audit: { anchor: "local:log" } });
    say(`begin ${step}`);
    await vault.secrets.set("a", utf8(`value ${step}`));
    await vault.close();
    say(`done ${step}`);
  }
};

export const acceptOnce = async (home: string): Promise<void> => {
  await acceptRollback({ home, unlock: unlockWith(process.env["RIG_PASSPHRASE"] ?? "") });
};

/** Where the key `default` goes, one after the other and from the start again. */
export const TARGETS = ["aws-kms:k1", "aws-kms:k2", "gcp-kms:k1", "local:default"] as const;
export const targetOf = (step: number): string => TARGETS[step % TARGETS.length] ?? "";

export const migrateLoop = async (home: string, say: Say): Promise<void> => {
  const vault = await open(home);
  for (let step = Number(process.env["RIG_STEP"] ?? 0); ; step += 1) {
    say(`begin ${step}`);
    await vault.providers.migrate({ to: targetOf(step) });
    say(`done ${step}`);
  }
};

/** Seals without the provider, then with it, which has it wrap again what was sealed without it. */
export const fallbackLoop = async (home: string, say: Say): Promise<void> => {
  const kms = remote();
  const providers = { "aws-kms": kms.provider };
  const unlock = unlockWith(passphraseOf(0));
  for (let step = 0; ; step += 1) {
    say(`begin ${step}`);
    kms.fault = "ERR_UNAVAILABLE";
    const cold = await openVault({ home, unlock, providers, fallbackToLocal: true });
    await cold.secrets.set(`cold-${step % 5}`, utf8(`value ${step}`));
    await cold.close();
    say(`done ${step}`);
    kms.fault = undefined;
    const warm = await openVault({ home, unlock, providers });
    await warm.secrets.set("warm", utf8(`value ${step}`));
    await warm.close();
  }
};

/** One rotation after the other; one that was interrupted is gone on with. */
export const rotateLoop = async (home: string, say: Say): Promise<void> => {
  const vault = await open(home);
  for (let step = 0; ; step += 1) {
    say(`begin ${step}`);
    if (await vault.rotation.status()) await vault.rotation.resume();
    else await vault.rotation.start();
    say(`done ${step}`);
  }
};

/** What the processes of a test ask for at once. */
export const ACTION = { session: "s", tool: "exec", secret: "a" } as const;
export const BOX = { session: "s", tool: "exec", secret: "a", destination: "h:443" } as const;
