import { setImmediate } from "node:timers/promises";
import {
  CryptoError,
  type CryptoErrorCode,
  isCryptoError,
  isUnavailable,
  zero,
} from "@lango/crypto-core";
import type { KeyRow, SecretRow } from "@lango/store";
import type { SecretUsePolicy } from "./approval-types.ts";
import { NO_POLICY, secretPolicies } from "./approvals/secret-policies.ts";
import { liveSecrets } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import type { DataKeys } from "./data-keys.ts";
import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import { checkSeals, type KeyRegistry, keyUri } from "./key-registry.ts";
import {
  checkAudience,
  checkSecretName,
  DEFAULT_KEY,
  isHiddenFrom,
  MAX_SECRET_BYTES,
  SECRETS,
} from "./names.ts";
import { checkRow } from "./rows.ts";
import type { SecretReader } from "./secret-read.ts";
import type {
  AudienceOption,
  LoadedSecret,
  SecretInfo,
  Secrets,
  SetSecretResult,
} from "./secret-types.ts";
import { deleteIn, type SecretWrite, writeIn } from "./secret-write.ts";
import { reached } from "./stages.ts";

export interface SecretsOptions {
  readonly context: VaultContext;
  readonly dataKeys: DataKeys;
  readonly registry: KeyRegistry;
  readonly reader: SecretReader;
  readonly gate: Gate;
}

export const createSecrets = (options: SecretsOptions): Secrets => {
  const { context, dataKeys, registry, reader, gate } = options;
  const { store, keys, log, counters } = context;

  /** Runs one operation on a name: checks the name, hides what agents may not see, audits what fails. */
  const onName = <T>(
    action: string,
    name: string,
    { audience }: AudienceOption,
    run: () => Promise<T>,
  ): Promise<T> =>
    gate.run(async () => {
      checkSecretName(name);
      checkAudience(audience);
      try {
        if (isHiddenFrom(audience, name)) {
          throw new CryptoError("ERR_DENIED", "Agents cannot use names under wallet/ and system/");
        }
        return await run();
      } catch (error) {
        await auditFailure(log, { action, target: name, audience }, error);
        throw error;
      }
    });

  async function* loadValues(): AsyncGenerator<LoadedSecret, void, undefined> {
    for await (const { name } of liveSecrets(store)) {
      const opened = await gate.run(() => load(name));
      if (opened !== undefined) yield opened;
    }
  }

  const load = async (name: string): Promise<LoadedSecret | undefined> => {
    try {
      return { name, value: (await reader.read(name, undefined)).value };
    } catch (error) {
      if (!isCryptoError(error)) throw error;
      // Deleted since the page was read.
      if (error.code === "ERR_NOT_FOUND") return undefined;
      // The others would each wait for the same provider.
      if (isUnavailable(error)) throw error;
      await auditFailure(log, { action: "secret.load", target: name }, error);
      return { name, error };
    }
  };

  const write = async (what: SecretWrite): Promise<SetSecretResult> => {
    const { name, value, options } = what;
    for (let attempt = 1; ; attempt += 1) {
      const existing = await store.secrets.describe(SECRETS, name);
      const key = await keyFor(registry, options.key, existing);
      const sealer = await dataKeys.sealer(key, SECRETS, value.length);
      reached("secret:sealed");
      try {
        const result = await store.transaction("full", (tx) =>
          writeIn(tx, context, what, key, sealer),
        );
        // SQLite works synchronously: without a turn for others, a loop of writes would hold the whole process.
        await setImmediate();
        return sealer.degraded ? { ...result, degraded: true } : result;
      } catch (error) {
        // The data key was retired after it was chosen, or left the cache while the transaction waited: seal once more.
        if (!isCryptoError(error) || !RESEAL.has(error.code) || attempt > 1) throw error;
        dataKeys.forget(key, SECRETS);
      }
    }
  };

  return {
    set: (name, value, options = {}) =>
      onName("secret.set", name, options, async () => {
        checkValue(value);
        return write({ action: "secret.set", name, value, options });
      }),

    get: (name, options = {}) =>
      onName("secret.get", name, options, async () => {
        checkVersion(options.version);
        const { row, version, value } = await reader.read(name, options.version);
        try {
          const { audience } = options;
          await log.use({ action: "secret.get", target: name, version, audience });
          counters.note({ secretId: row.id, keyId: row.keyId });
          return { name, version, value };
        } catch (error) {
          zero(value);
          throw error;
        }
      }),

    list: ({ audience } = {}) =>
      gate.run(async () => {
        checkAudience(audience);
        await counters.flush();
        const uris = new Map((await registry.list()).map((key) => [key.id, keyUri(key)]));
        const policies = await secretPolicies(store, (row) => checkRow(keys.rows, "policies", row));
        const infos: SecretInfo[] = [];
        for await (const row of liveSecrets(store)) {
          reader.check(row);
          if (!isHiddenFrom(audience, row.name)) infos.push(secretInfo(row, uris, policies));
        }
        return infos;
      }),

    loadAll: () =>
      gate.run(async () => {
        const { secrets: count } = await store.counts();
        await log.commitRead({ action: "secret.load", detail: `${count} for masking` });
        return { count, values: loadValues() };
      }),

    history: (name, options = {}) =>
      onName("secret.history", name, options, async () => {
        const row = await reader.describe(name);
        const versions = await store.secrets.listVersions(row.id);
        return versions.map(({ version, createdAt, size }) => ({
          version,
          createdAt,
          size,
          current: version === row.currentVersion,
        }));
      }),

    rollback: (name, version, options = {}) =>
      onName("secret.rollback", name, options, async () => {
        checkVersion(version);
        const { value } = await reader.read(name, version);
        try {
          const detail = `from version ${version}`;
          return await write({ action: "secret.rollback", name, value, options, detail });
        } finally {
          zero(value);
        }
      }),

    delete: (name, options = {}) =>
      onName("secret.delete", name, options, () =>
        store.transaction("full", (tx) => deleteIn(tx, context, name, options.audience)),
      ),
  };
};

const RESEAL: ReadonlySet<CryptoErrorCode> = new Set<CryptoErrorCode>([
  "ERR_KEY_RETIRED",
  "ERR_CLOSED",
]);

const keyFor = async (
  registry: KeyRegistry,
  wanted: string | undefined,
  existing: SecretRow | undefined,
): Promise<KeyRow> => {
  const key =
    wanted === undefined && existing
      ? await registry.findById(existing.keyId)
      : await registry.find(wanted ?? DEFAULT_KEY);
  checkSeals(key);
  return key;
};

const checkValue = (value: unknown): void => {
  if (!(value instanceof Uint8Array)) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "The value of a secret is a Uint8Array");
  }
  if (value.length > MAX_SECRET_BYTES) {
    const message = `The value has ${value.length} bytes, more than ${MAX_SECRET_BYTES}`;
    throw new CryptoError("ERR_INVALID_ARGUMENT", message);
  }
};

const checkVersion = (version: unknown): void => {
  if (version === undefined || (Number.isSafeInteger(version) && (version as number) > 0)) return;
  throw new CryptoError("ERR_INVALID_ARGUMENT", "A version is an integer from 1");
};

/**
 * @param uris - The URI of each key, by its id.
 * @param policies - See {@link secretPolicies}.
 */
export const secretInfo = (
  row: SecretRow,
  uris: ReadonlyMap<string, string>,
  policies: ReadonlyMap<string, SecretUsePolicy>,
): SecretInfo => ({
  name: row.name,
  key: uris.get(row.keyId) ?? row.keyId,
  version: row.currentVersion,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
  uses: row.uses,
  ...(policies.get(row.name) ?? NO_POLICY),
  ...(row.lastUsedAt === null ? {} : { lastUsedAt: row.lastUsedAt }),
});
