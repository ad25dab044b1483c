import { open } from "./work.ts";

/** A name that only the database knows: in plaintext it can be found in the bytes of a file. */
export const NAME = "a-name-that-nobody-else-has";
export const SECRETS = 30;
export const nameOf = (step: number): string => `${NAME}/${step}`;
export const textOf = (step: number): string => `${step} `.repeat(500);

/** Changes the encryption of the database once, and then reads until it is killed. */
export const changeDatabase =
  (to: "encrypt" | "decrypt") =>
  async (home: string, say: (line: string) => void): Promise<void> => {
    const vault = await open(home);
    say("begin 0");
    await vault.database[to]();
    say("done 0");
    for (;;) await vault.secrets.get(nameOf(0));
  };
