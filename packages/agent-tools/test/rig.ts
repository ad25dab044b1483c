import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CryptoError, isCryptoError, utf8 } from "@lango/crypto-core";
import {
  type Answer,
  type ApprovalPolicy,
  type ApprovalRequest,
  type Broker,
  createBroker,
  createGuard,
  createProgrammaticSurface,
  createScanner,
  type Guard,
  type GuardedTool,
  type Scanner,
} from "@lango/guard";
import { type CreateVaultOptions, createVault, type Vault } from "@lango/vault";
import { onTestFinished } from "vitest";
import {
  type CreateToolsOptions,
  createTools,
  createVaultReferences,
  type VaultReferences,
} from "../src/index.ts";

export const PASSPHRASE = "a passphrase of the tests";
export const API_KEY = "sk-proj-Zm9v-7f3a91c2e5";
export const WALLET_KEY = "0x4c0883a69102937d6231471b5dbb6204fe512961708279";

export interface Rig {
  readonly vault: Vault;
  readonly broker: Broker;
  readonly scanner: Scanner;
  readonly guard: Guard;
  readonly references: VaultReferences;
  readonly tools: readonly GuardedTool[];
  /** What a person was asked. */
  readonly asked: ApprovalRequest[];
  call(name: string, args?: unknown): Promise<Record<string, unknown>>;
}

export interface RigOptions extends Partial<Omit<CreateToolsOptions, "vault" | "guard">> {
  readonly session?: string;
  /** What the person says. Default: nobody can be asked. */
  readonly answer?: (request: ApprovalRequest) => boolean | Promise<boolean>;
  readonly policy?: Partial<ApprovalPolicy>;
  readonly vaultOptions?: Partial<CreateVaultOptions>;
  readonly vault?: Vault;
}

const POLICY: ApprovalPolicy = {
  enabled: true,
  approvalPolicy: "dangerous",
  sensitiveTools: [],
  exemptTools: [],
};

export const makeVault = async (
  options: Partial<CreateVaultOptions> = {},
  scope: (end: () => void | Promise<void>) => void = onTestFinished,
): Promise<Vault> => {
  const folder = mkdtempSync(join(tmpdir(), "lango-tools-"));
  const vault = await createVault({
    home: join(folder, "home"),
    credentials: [{ kind: "passphrase", passphrase: utf8(PASSPHRASE) }],
    kdf: {
      name: "pbkdf2-sha256",
      iterations: 1000,
      salt: crypto.getRandomValues(new Uint8Array(16)),
    },
    acceptWeakKdf: true,
    ...options,
  });
  scope(async () => {
    await vault.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return vault;
};

/** Everything real: a vault on disk, a scanner with its secrets, a broker. The person is a function. */
export const rig = async (options: RigOptions = {}): Promise<Rig> => {
  const { session = "session-1", answer, policy, vaultOptions, ...more } = options;
  const vault = options.vault ?? (await makeVault(vaultOptions));
  if (options.vault === undefined) {
    await vault.secrets.set("api/key", utf8(API_KEY));
    await vault.secrets.set("wallet/main", utf8(WALLET_KEY));
  }
  const scanner = await createScanner({
    secrets: [
      { name: "api/key", value: utf8(API_KEY) },
      { name: "wallet/main", value: utf8(WALLET_KEY) },
    ],
  });
  const asked: ApprovalRequest[] = [];
  const broker = createBroker({
    vault: vault.approvals,
    policy: async () => ({ ...POLICY, ...policy }),
  });
  if (answer !== undefined) {
    broker.addSurface(
      createProgrammaticSurface({
        provesApprover: true,
        async ask(request): Promise<Answer> {
          asked.push(request);
          return { approved: await answer(request), by: "Ada" };
        },
      }),
    );
  }
  const references = createVaultReferences({ vault });
  const guard = createGuard({ scanner, broker, resolver: references, session });
  const tools = createTools({ vault, guard, references, ...more });
  onTestFinished(() => {
    references.close();
    broker.close();
    scanner.close();
  });
  return {
    ...{ vault, broker, scanner, guard, references, tools, asked },
    async call(name, args = {}) {
      const tool = tools.find(({ definition }) => definition.name === name);
      if (tool === undefined) throw new Error(`there is no tool ${name}`);
      return (await tool.call(args)) as Record<string, unknown>;
    },
  };
};

/** The error that a promise rejects with, which must be one of Lango. */
export const failure = async (promise: Promise<unknown>): Promise<CryptoError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (isCryptoError(error)) return error;
  throw error ?? new Error("it did not fail");
};
