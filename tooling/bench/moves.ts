import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createLocalProvider } from "@lango/crypto-local";
import { moveVault, openVault, type Vault } from "@lango/vault";
import { findService, missingService, serviceNamed } from "../services/find.ts";
import { POSTGRES_USER, startPostgres } from "../services/postgres.ts";
import { compareDurations, type Measure, Skipped } from "./paired.ts";
import { buildSealedVault, passphrase, unlock } from "./rotation-vault.ts";

const FEW = 10;
/** `LANGO_BENCH_SECRETS=1000000 node tooling/bench/run.ts moves` takes the full number. */
const MANY = Number(process.env["LANGO_BENCH_SECRETS"] ?? 100_000);
const AT_MOST = 1.2;
const PASSWORD = "bench";

/** Where a vault is: in files of its home, or in a database. */
interface Place {
  readonly home: string;
  readonly store?: { readonly url: string };
}

/** A provider in this process, under the name of a service: what the network adds is not what is measured. */
const provider = () => ({
  ...createLocalProvider({
    keys: ["k1", "k2"].map((id, index) => ({
      id,
      algorithm: "aes-256-gcm" as const,
      versions: [{ version: 1, material: new Uint8Array(32).fill(index + 1) }],
    })),
  }),
  name: "gcp-kms",
});

const open = (place: Place): Promise<Vault> =>
  openVault({ ...place, unlock, providers: { "gcp-kms": provider() } });

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e6;
};

/** Unlocking is as long with any number of secrets, and would hide the rest: it is taken off. */
const openAndRead = async (place: Place): Promise<number> => {
  let unlocked = 0n;
  const vault = await openVault({
    ...place,
    unlock: async (slots) => {
      const result = await unlock(slots);
      unlocked = process.hrtime.bigint();
      return result;
    },
  });
  await vault.secrets.get("bench/secret-0000003");
  const took = Number(process.hrtime.bigint() - unlocked) / 1e6;
  await vault.close();
  return took;
};

const changePassphrase = async (place: Place): Promise<number> => {
  await using vault = await open(place);
  return await timed(() =>
    vault.slots.changePassphrase({ oldPassphrase: passphrase(), newPassphrase: passphrase() }),
  );
};

const rekey = async (place: Place): Promise<number> => {
  const vault = await open(place);
  const [slot] = await vault.slots.list();
  const credential = { kind: "passphrase" as const, passphrase: passphrase() };
  let next: Vault | undefined;
  const took = await timed(async () => {
    ({ vault: next } = await vault.rekey({ credentials: [{ slotId: slot!.id, credential }] }));
  });
  await next?.close();
  return took;
};

/** There and back, so that every round begins alike. */
const migrate = async (place: Place): Promise<number> => {
  await using vault = await open(place);
  return await timed(async () => {
    await vault.providers.migrate({ to: "gcp-kms:k1" });
    await vault.providers.migrate({ to: "local:default" });
  });
};

/** What shall take the same time for ten secrets and for a million. */
export const measureMoves = (): Promise<Measure[]> =>
  inFolder(async (folder) => {
    const [few, many] = await build(folder);
    return measure("", few, many);
  });

/** The same for a vault on a server, whose commits wait for its disk: reported. */
export const measureMovesOnServer = (): Promise<Measure[]> =>
  inFolder(async (folder) => {
    const service = serviceNamed("postgres");
    const program = findService(service);
    if (program === undefined) throw new Skipped(missingService(service));
    const server = await startPostgres(program, PASSWORD, { fsync: true });
    try {
      const places = await build(folder);
      const [few, many] = await Promise.all(
        places.map(async ({ home }) => {
          const at = `127.0.0.1:${server.port}/postgres?schema=${path.basename(home)}`;
          const store = { url: `postgres://${POSTGRES_USER}:${PASSWORD}@${at}` };
          await moveVault({ home, to: store, unlock, switchOver: async () => undefined });
          return { home, store };
        }),
      );
      return await measure("postgres-", few!, many!);
    } finally {
      await server.stop();
    }
  });

const inFolder = async (work: (folder: string) => Promise<Measure[]>): Promise<Measure[]> => {
  const folder = mkdtempSync(path.join(tmpdir(), "lango-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const build = async (folder: string): Promise<[few: Place, many: Place]> => {
  const [few, many] = ["few", "many"].map((name) => ({ home: path.join(folder, name) }));
  await buildSealedVault(few!.home, FEW);
  await buildSealedVault(many!.home, MANY);
  return [few!, many!];
};

const measure = async (prefix: string, few: Place, many: Place): Promise<Measure[]> => {
  const measures: Measure[] = [];
  for (const [what, run] of Object.entries({
    "open-and-read": openAndRead,
    "passphrase-change": changePassphrase,
    "provider-migration": migrate,
    rekey,
  })) {
    const name = `${prefix}${what}-${MANY}-vs-${FEW}-secrets`;
    const pair = { ours: () => run(many), theirs: () => run(few) };
    measures.push(await compareDurations({ name, ...pair, atMost: AT_MOST }));
  }
  return measures;
};
