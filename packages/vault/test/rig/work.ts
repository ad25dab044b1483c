import { utf8 } from "@lango/crypto-core";
import type { Kdf } from "@lango/envelope";
import type { SlotInfo, UnlockResult } from "@lango/unlock";
import { acceptRollback, createVault, openVault, type Vault } from "../../src/index.ts";

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

export const open = (home: string, passphrase: string = passphraseOf(0)): Promise<Vault> =>
  openVault({ home, unlock: unlockWith(passphrase) });

export const create = (home: string): Promise<Vault> =>
  createVault({
    home,
    credentials: [{ kind: "passphrase", passphrase: utf8(passphraseOf(0)) }],
    kdf: quickKdf(),
    acceptWeakKdf: true,
  });

/** One vault after another, in folders of their own. */
export const onboardLoop = async (home: string, say: Say): Promise<void> => {
  for (let step = 0; ; step += 1) {
    say(`begin ${step}`);
    await (await create(`${home}-${step}`)).close();
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
