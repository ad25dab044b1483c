import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createLocalProvider } from "@lango/crypto-local";
import { openVault, type Vault } from "@lango/vault";
import { compareDurations, type Measure } from "./paired.ts";
import { buildSealedVault, passphrase, unlock } from "./rotation-vault.ts";

const FEW = 10;
/** `LANGO_BENCH_SECRETS=1000000 node tooling/bench/run.ts moves` takes the full number. */
const MANY = Number(process.env["LANGO_BENCH_SECRETS"] ?? 100_000);
const AT_MOST = 1.2;

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

const open = (home: string): Promise<Vault> =>
  openVault({ home, unlock, providers: { "gcp-kms": provider() } });

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e6;
};

/** Unlocking is as long with any number of secrets, and would hide the rest: it is taken off. */
const openAndRead = async (home: string): Promise<number> => {
  let unlocked = 0n;
  const vault = await openVault({
    home,
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

const changePassphrase = async (home: string): Promise<number> => {
  await using vault = await open(home);
  return await timed(() =>
    vault.slots.changePassphrase({ oldPassphrase: passphrase(), newPassphrase: passphrase() }),
  );
};

const rekey = async (home: string): Promise<number> => {
  const vault = await open(home);
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
const migrate = async (home: string): Promise<number> => {
  await using vault = await open(home);
  return await timed(async () => {
    await vault.providers.migrate({ to: "gcp-kms:k1" });
    await vault.providers.migrate({ to: "local:default" });
  });
};

/** What shall take the same time for ten secrets and for a million. */
export const measureMoves = async (): Promise<Measure[]> => {
  const folder = mkdtempSync(path.join(tmpdir(), "lango-bench-"));
  try {
    const few = path.join(folder, "few");
    const many = path.join(folder, "many");
    await buildSealedVault(few, FEW);
    await buildSealedVault(many, MANY);
    const measures: Measure[] = [];
    for (const [what, run] of Object.entries({
      "open-and-read": openAndRead,
      "passphrase-change": changePassphrase,
      "provider-migration": migrate,
      rekey,
    })) {
      const name = `${what}-${MANY}-vs-${FEW}-secrets`;
      const pair = { ours: () => run(many), theirs: () => run(few) };
      measures.push(await compareDurations({ name, ...pair, atMost: AT_MOST }));
    }
    return measures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
