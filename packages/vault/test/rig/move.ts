import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { utf8 } from "@lango/crypto-core";
import { moveVault, openVault, type StoreAddress, type Vault } from "../../src/index.ts";
import { passphraseOf, unlockWith } from "./work.ts";

/** What a setting would say: where the vault is. */
const setting = (home: string): string => `${home}.place`;

export const otherPlace = (place: string): string => (place === "home" ? "postgres" : "home");

export const placeOf = (home: string): string =>
  existsSync(setting(home)) ? readFileSync(setting(home), "utf8") : "home";

const storeAt = (place: string, url: string): { readonly store?: StoreAddress } =>
  place === "home" ? {} : { store: { url } };

export const openAt = (home: string, url: string): Promise<Vault> =>
  openVault({ home, ...storeAt(placeOf(home), url), unlock: unlockWith(passphraseOf(0)) });

/** Moves the vault from where it is to where it is not. @param encrypted - How it comes into the home. */
export const moveOn = (home: string, url: string, encrypted = false): Promise<unknown> => {
  const place = placeOf(home);
  const to = otherPlace(place);
  return moveVault({
    home,
    ...storeAt(place, url),
    ...(to === "home" ? { to, database: { enabled: encrypted } } : { to: { url } }),
    unlock: unlockWith(passphraseOf(0)),
    switchOver: async () => writeFileSync(setting(home), to),
  });
};

/** Writes, and moves the vault, there and back without end. */
export const moveLoop = async (home: string, say: (line: string) => void): Promise<void> => {
  const url = process.env["RIG_URL"] ?? "";
  for (let step = Number(process.env["RIG_STEP"] ?? 0); ; step += 1) {
    say(`begin ${step}`);
    const vault = await openAt(home, url);
    await vault.secrets.set("step", utf8(`${step}`));
    await vault.close();
    say(`done ${step}`);
    say(`to ${otherPlace(placeOf(home))}`);
    // So that what a kill left is often not as it is wished for then.
    await moveOn(home, url, step % 2 === 0);
  }
};
