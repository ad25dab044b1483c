import { CryptoError, isCryptoError, zero } from "@lango/crypto-core";
import {
  formatReference,
  type Guard,
  type JsonObject,
  judgePlainForm,
  type Target,
  targetName,
} from "@lango/guard";
import { decodeText, ENCODING, type Encoding } from "./encoding.ts";
import { toolOfHandle } from "./references.ts";
import type { Parameters } from "./schema.ts";
import type { ToolSpec } from "./spec.ts";
import type { ToolVault } from "./vault.ts";

/** What a person did who was asked for a secret. `elsewhere`: entered it by another way, so that it is in the vault. */
export type EnteredSecret = Uint8Array | "elsewhere" | undefined;

/** What a person is asked for. */
export interface SecretRequest {
  readonly name: string;
  /** In the agent's words. Shown as such. */
  readonly reason?: string;
  readonly session: string;
}

/** Asks a person for a secret, where the agent cannot see it. `undefined`: the person did not want to. */
export type RequestSecret = (request: SecretRequest, signal: AbortSignal) => Promise<EnteredSecret>;

export interface SecretToolsOptions {
  readonly vault: Pick<ToolVault, "secrets" | "approvals">;
  readonly guard: Guard;
  readonly requestSecret?: RequestSecret | undefined;
}

const AGENT = { audience: "agent" } as const;
// No name in it: models, like people, write values where names belong.
const BY_HAND = "A person can enter it in a terminal: lango security secrets set NAME";
const NAME = {
  type: "string",
  description: "Name of the secret: letters, digits and . _ / -, for example openai/api-key",
  minLength: 1,
  maxLength: 256,
  pattern: "^(?!/)(?!.*\\.\\.)[A-Za-z0-9._/\\-]+(?<!/)$",
} as const;
/** As many characters as a secret of 1 MiB has in base64. */
const MAX_VALUE_CHARACTERS = 1_398_104;

export const secretTools = (options: SecretToolsOptions): readonly ToolSpec[] => [
  storeTool(options),
  getTool(options),
  listTool(options),
  deleteTool(options),
  requestTool(options),
];

const storeTool = ({ vault, guard }: SecretToolsOptions): ToolSpec => ({
  name: "secrets.store",
  description:
    "Stores a secret under a name and returns a reference to it. Only for values that you were given in this conversation: you know such a value already, " +
    "and nothing can make you forget it. For any other secret use secrets.request, so that you never see it. The result does not repeat the value.",
  safety: "moderate",
  annotations: { title: "Store a secret", destructiveHint: true, openWorldHint: false },
  parameters: {
    required: ["name", "value"],
    properties: {
      name: NAME,
      value: {
        type: "string",
        description: "The value, at most 1 MiB",
        minLength: 1,
        maxLength: MAX_VALUE_CHARACTERS,
      },
      encoding: ENCODING,
    },
  },
  withheld: ["value"],
  // To replace what others rely on is another matter than to add something.
  approval: async ({ name }) =>
    (await isThere(vault, String(name)))
      ? { secret: String(name), safety: "dangerous" }
      : { secret: String(name) },
  async run({ name, value, encoding }, { safety }) {
    const bytes = decodeText(String(value), "value", encoding as Encoding | undefined);
    try {
      // Approved as a new one, it is stored as one, whoever has stored another meanwhile.
      const isNew = safety !== "dangerous";
      return await keep({ vault, guard }, String(name), bytes, isNew);
    } finally {
      zero(bytes);
    }
  },
});

const GET_PARAMETERS: Parameters = {
  required: ["name"],
  properties: {
    name: NAME,
    tool: {
      type: "string",
      description: "With destination: the one tool that may use the reference",
      minLength: 1,
      maxLength: 128,
    },
    destination: {
      type: "string",
      description:
        "With tool: where the value may go: host, host:port, or the absolute path of a program",
      minLength: 1,
      maxLength: 512,
    },
    uses: {
      type: "integer",
      description: "How often it may be used (1)",
      minimum: 1,
      maximum: 1000,
    },
    minutes: {
      type: "integer",
      description: "How long it is good (10)",
      minimum: 1,
      maximum: 1440,
    },
  },
};

const getTool = ({ vault }: SecretToolsOptions): ToolSpec => ({
  name: "secrets.get",
  description:
    "Returns a reference to a secret, never the value. Write the reference where a tool takes secrets; the value takes its place " +
    "when the tool runs. With tool and destination the reference is good for these alone. A person may have to approve.",
  safety: "moderate",
  annotations: {
    title: "Get a reference to a secret",
    readOnlyHint: true,
    idempotentHint: true,
    openWorldHint: false,
  },
  parameters: GET_PARAMETERS,
  async approval(args) {
    const secret = String(args["name"]);
    const target = targetOf(args);
    if (target === undefined) return { secret, required: true };
    const verdict = judgePlainForm(
      { ...(await policyOf(vault, secret)), requiresHandle: false },
      target,
    );
    if (verdict === "forbidden") throw notThere();
    // A destination that the owner has not listed is for an approver, as it is when the plain form goes there.
    const safety = verdict === "listed" ? "moderate" : "dangerous";
    return { secret, destination: targetName(target), required: true, safety };
  },
  async run(args, { session, approvedBy }) {
    const name = String(args["name"]);
    const policy = await policyOf(vault, name);
    const target = targetOf(args);
    if (target === undefined) {
      if (policy.requiresHandle) {
        throw new CryptoError(
          "ERR_INVALID_ARGUMENT",
          "This secret is given out for one use at a time",
          {
            context: { hint: "Name the tool and the destination" },
          },
        );
      }
      const { destinations, commands } = policy;
      const isListed = destinations.length > 0 || commands.length > 0;
      return {
        ...{ name, reference: formatReference({ kind: "secret", name }), destinations, commands },
        ...(!isListed && { note: "Nothing is listed for it: each use needs an approval" }),
      };
    }
    const { handle, expiresAt } = await vault.approvals.handles.issue({
      ...{ secret: name, session, audience: "agent", by: approvedBy },
      tool: toolOfHandle(String(args["tool"])),
      destination: targetName(target),
      uses: args["uses"] as number | undefined,
      minutes: args["minutes"] as number | undefined,
    });
    return {
      name,
      reference: formatReference({ kind: "secret", name, handle }),
      expiresAt: new Date(expiresAt).toISOString(),
      uses: args["uses"] ?? 1,
    };
  },
});

const listTool = ({ vault }: SecretToolsOptions): ToolSpec => ({
  name: "secrets.list",
  description: "Lists the names of the secrets, without values.",
  safety: "safe",
  annotations: { title: "List secrets", readOnlyHint: true, openWorldHint: false },
  parameters: { required: [], properties: {} },
  async run() {
    const secrets = (await vault.secrets.list(AGENT)).map((secret) => ({
      name: secret.name,
      version: secret.version,
      createdAt: new Date(secret.createdAt).toISOString(),
      updatedAt: new Date(secret.updatedAt).toISOString(),
      uses: secret.uses,
    }));
    return { secrets, count: secrets.length };
  },
});

const deleteTool = ({ vault }: SecretToolsOptions): ToolSpec => ({
  name: "secrets.delete",
  description: "Removes a secret with all its versions. This cannot be undone.",
  safety: "dangerous",
  annotations: {
    title: "Delete a secret",
    destructiveHint: true,
    idempotentHint: true,
    openWorldHint: false,
  },
  parameters: { required: ["name"], properties: { name: NAME } },
  approval: ({ name }) => ({ secret: String(name) }),
  async run({ name }) {
    await orNotThere(vault.secrets.delete(String(name), AGENT));
    return { name: String(name), deleted: true };
  },
});

const requestTool = (options: SecretToolsOptions): ToolSpec => ({
  name: "secrets.request",
  description:
    "Asks a person to enter a secret where you cannot see it, and returns a reference to it. Use it whenever you need a secret that you do not have.",
  safety: "moderate",
  annotations: { title: "Ask a person for a secret", destructiveHint: true, openWorldHint: false },
  parameters: {
    required: ["name"],
    properties: {
      name: NAME,
      reason: { type: "string", description: "What it is for, for the person", maxLength: 500 },
    },
  },
  async run({ name: given, reason }, { session, signal }) {
    const name = String(given);
    const { vault, requestSecret } = options;
    if (requestSecret === undefined) throw denied("Nobody can be asked for a secret here", BY_HAND);
    const before = await find(vault, name);
    const entered = await requestSecret(
      { name, session, ...(reason === undefined ? {} : { reason: String(reason) }) },
      signal,
    );
    if (entered === undefined) throw denied("The person did not enter the secret", BY_HAND);
    if (entered !== "elsewhere") {
      try {
        return await keep(options, name, entered);
      } finally {
        zero(entered);
      }
    }
    const now = await find(vault, name);
    if (now === undefined || now.version === before?.version) {
      throw denied("The secret is not in the vault yet", BY_HAND);
    }
    const { value, version } = await vault.secrets.get(name, AGENT);
    try {
      return { ...(await learnt(options.guard, name, value)), version };
    } finally {
      zero(value);
    }
  },
});

/** Stores a value for an agent; the result says all but the value. */
const keep = async (
  { vault, guard }: Pick<SecretToolsOptions, "vault" | "guard">,
  name: string,
  value: Uint8Array,
  createOnly = false,
): Promise<JsonObject> => {
  const { version, created } = await vault.secrets.set(name, value, { ...AGENT, createOnly });
  return { ...(await learnt(guard, name, value)), version, created };
};

const learnt = async (guard: Guard, name: string, value: Uint8Array): Promise<JsonObject> => {
  const reason = await guard.learn({ name, value });
  const reference = formatReference({ kind: "secret", name });
  if (reason === undefined) return { name, reference, masked: true };
  const why = reason === "short" ? "it is too short" : "it is a common word";
  return { name, reference, masked: false, warning: `It is not masked in outputs: ${why}` };
};

type Policy = NonNullable<Awaited<ReturnType<ToolVault["approvals"]["destinations"]["get"]>>>;

const policyOf = async (vault: Pick<ToolVault, "approvals">, name: string): Promise<Policy> => {
  const policy = await vault.approvals.destinations.get(name, AGENT);
  if (policy === undefined) throw notThere();
  return policy;
};

const find = async (vault: Pick<ToolVault, "secrets">, name: string) =>
  (await vault.secrets.list(AGENT)).find((secret) => secret.name === name);

const isThere = async (vault: Pick<ToolVault, "approvals">, name: string): Promise<boolean> =>
  (await vault.approvals.destinations.get(name, AGENT)) !== undefined;

/** `host`, `host:port`, `[v6]:port` or a path. Tool and destination go together. */
const targetOf = ({ tool, destination }: JsonObject): Target | undefined => {
  if (tool === undefined && destination === undefined) return undefined;
  if (tool === undefined || destination === undefined) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "tool and destination go together");
  }
  const text = String(destination);
  if (text.startsWith("/")) return { kind: "command", path: text };
  const found = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$/.exec(text);
  const port = Number(found?.[2] ?? 443);
  if (!found || port < 1 || port > 65_535) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      "destination is host, host:port or an absolute path",
    );
  }
  return { kind: "destination", host: found[1]!, port };
};

/** One error for a name that is not there, one that agents cannot use, and a destination that is not listed. */
const notThere = (): CryptoError =>
  new CryptoError("ERR_NOT_FOUND", "There is no such secret, or it cannot be used there", {
    context: { hint: "The tool secrets.list lists the secrets" },
  });

/** The vault's own error says the name. */
const orNotThere = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    throw isCryptoError(error) && error.code === "ERR_NOT_FOUND" ? notThere() : error;
  }
};

const denied = (message: string, hint: string): CryptoError =>
  new CryptoError("ERR_DENIED", message, { context: { hint } });
