import { resolve } from "node:path";
import { UNLOCK_VARIABLES } from "@lango/unlock";
import { type Arguments, usageError } from "../cli/arguments.ts";

/** What `lango run` shall hand to the command. */
export interface Wishes {
  /** From the name of a variable to the name of a secret. */
  readonly variables: ReadonlyMap<string, string>;
  /** From an absolute path to the name of a secret. */
  readonly files: ReadonlyMap<string, string>;
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @throws CryptoError `ERR_INVALID_ARGUMENT` for an assignment that is none, or is given twice. */
export function parseWishes(args: Arguments): Wishes {
  const variables = new Map<string, string>();
  for (const [name, secret] of assignments(args, "env", "NAME=SECRET", "TOKEN=github/token")) {
    // Not repeated in the message: a value may have been written where a name belongs.
    if (!VARIABLE.test(name)) throw notOne("env", "NAME=SECRET", "TOKEN=github/token");
    if (UNLOCK_VARIABLES.includes(name.toUpperCase())) {
      throw usageError(`${name} never reaches a command: it opens the vault`);
    }
    if (variables.has(name)) throw usageError(`--env gives ${name} twice`);
    variables.set(name, secret);
  }
  const files = new Map<string, string>();
  for (const [path, secret] of assignments(args, "file", "PATH=SECRET", "./key.json=gcp/key")) {
    const file = resolve(path);
    if (files.has(file)) throw usageError(`--file gives ${path} twice`);
    files.set(file, secret);
  }
  return { variables, files };
}

function* assignments(
  args: Arguments,
  option: string,
  form: string,
  example: string,
): Generator<[name: string, secret: string]> {
  for (const assignment of args.strings(option)) {
    // At the last sign: paths may have some, names of secrets have none.
    const at = assignment.lastIndexOf("=");
    const [name, secret] = [assignment.slice(0, Math.max(0, at)), assignment.slice(at + 1)];
    if (name === "" || secret === "") throw notOne(option, form, example);
    yield [name, secret];
  }
}

const notOne = (option: string, form: string, example: string): Error =>
  usageError(`--${option} takes ${form}`, `For example --${option} ${example}`);
