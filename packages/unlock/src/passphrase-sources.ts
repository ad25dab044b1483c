import { fstatSync } from "node:fs";
import { join } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { isTerminal, readDescriptor } from "./descriptor.ts";
import { takeFromKeyring } from "./keyring.ts";
import { readSecretFile } from "./secret-file.ts";
import { found, type Source, skipped } from "./source.ts";
import type { Surroundings } from "./surroundings.ts";
import { findVariables, readVariables } from "./variables.ts";

const KINDS = ["passphrase"] as const;

/** The places of a passphrase, in their order. */
export const passphraseSources = (around: Surroundings, ask: Surroundings["prompt"]): Source[] => [
  keyring(around),
  keyfile(around),
  variable(around),
  serviceCredential(around),
  containerSecret(around),
  prompt(ask),
  standardInput(around),
];

function keyring(around: Surroundings): Source {
  const off = around.keyringEnabled === true ? undefined : "security.keyring.enabled is false";
  return {
    name: "keyring (passphrase)",
    kinds: KINDS,
    ambient: true,
    take: async () =>
      off === undefined ? takeFromKeyring(around.keyring, "passphrase") : skipped(off),
  };
}

function keyfile(around: Surroundings): Source {
  const named = around.env["LANGO_KEYFILE"];
  if (!named) return file("keyfile", join(around.home, "passphrase"), around);
  return file("keyfile", named, around, `LANGO_KEYFILE names ${named}, which does not exist`);
}

function variable(around: Surroundings): Source {
  const variables = findVariables(around.env, ["LANGO_PASSPHRASE"]);
  return {
    name: variables[0]?.name ?? "LANGO_PASSPHRASE",
    kinds: KINDS,
    ambient: variables[0]?.isPath ?? false,
    async take() {
      const passphrase = await readVariables(variables, around.files, (raw) => raw);
      return passphrase === undefined ? skipped("not set") : found(passphrase);
    },
  };
}

/** A credential that systemd hands to a service (systemd.exec(5), `LoadCredential=`). */
function serviceCredential(around: Surroundings): Source {
  const folder = around.env["CREDENTIALS_DIRECTORY"];
  if (folder) return file("credential", join(folder, "lango.passphrase"), around);
  return {
    name: "credential lango.passphrase",
    kinds: KINDS,
    ambient: true,
    take: async () => skipped("CREDENTIALS_DIRECTORY is not set"),
  };
}

/** A secret that Docker, Podman or Kubernetes mounts. */
function containerSecret(around: Surroundings): Source {
  return file("container secret", join(around.containerSecrets, "lango_passphrase"), around);
}

/** @param fault - What is wrong when the file is missing. Default: nothing, the source is skipped. */
function file(what: string, path: string, around: Surroundings, fault?: string): Source {
  return {
    name: `${what} ${path}`,
    kinds: KINDS,
    ambient: true,
    async take() {
      const passphrase = await readSecretFile(path, { ...around.files, source: what });
      if (passphrase !== undefined) return found(passphrase);
      // A typo must not end in another source.
      if (fault !== undefined) throw new CryptoError("ERR_CONFIG", fault);
      return skipped("does not exist");
    },
  };
}

/** The terminal. */
export function prompt(ask: Surroundings["prompt"]): Source {
  const away = "there is no terminal to ask on";
  return {
    name: "prompt",
    kinds: KINDS,
    ambient: false,
    async take() {
      if (ask === undefined) return skipped(away);
      const secret = await ask("Enter encryption passphrase: ");
      if (secret === undefined) return skipped("nothing was entered");
      const again = () => ask("Wrong passphrase, try again: ", true);
      return { state: "found", secret, again };
    },
    look: async () => (ask === undefined ? away : undefined),
  };
}

/** What is piped into a command that reads no input of its own. */
function standardInput(around: Surroundings): Source {
  const look = (): string | undefined => {
    if (!around.stdinFree) return "the command reads its input from it";
    if (isTerminal(0)) return "it is a terminal";
    const stat = fstatSync(0);
    // As /dev/null is, which a service has.
    const isEmpty = stat.isCharacterDevice() || (stat.isFile() && stat.size === 0);
    return isEmpty ? "nothing is piped in" : undefined;
  };
  return {
    name: "stdin",
    kinds: KINDS,
    ambient: false,
    async take() {
      const away = look();
      if (away !== undefined) return skipped(away);
      // Programs that start Lango often leave it a pipe to which nobody will ever write.
      const passphrase = await readDescriptor(0, fstatSync(0), {
        source: "stdin",
        firstByteMs: around.stdinWaitMs,
      });
      if (passphrase === undefined) return skipped(`nothing came within ${around.stdinWaitMs} ms`);
      return passphrase.length === 0 ? skipped("it is empty") : found(passphrase);
    },
    look: async () => look(),
  };
}
