import { randomBytes } from "node:crypto";
import { CreateKeyCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { createAwsKmsProvider } from "@lango/crypto-aws-kms";
import { createCryptoClient, createResilientProvider } from "@lango/crypto-core";
import { awsAction } from "../faults/aws.ts";
import { type CountedProvider, openAtOnce, readAtOnce, sealMany } from "../faults/load.ts";
import { startFaultProxy } from "../faults/proxy.ts";
import { findService, missingService, serviceNamed } from "../services/find.ts";
import { startServer } from "../services/server.ts";
import { SetupError } from "../setup/step.mjs";
import { type Measure, median, Skipped } from "./paired.ts";

const OPENS = 3000;
const VALUES = 1000;
const ROUNDS = 11;
const CALLS_PER_ROUND = 60;
const WARM_UP = 500;

/** What the AWS provider costs in calls of the service, and what it adds to one. */
export const measureAws = async (): Promise<Measure[]> => {
  const moto = serviceNamed("moto");
  await moto.bring?.().catch((error: unknown) => {
    throw error instanceof SetupError ? new Skipped(error.message) : error;
  });
  const program = findService(moto);
  if (program === undefined) throw new Skipped(missingService(moto));
  const server = await startServer({
    program,
    args: (port) => ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
  });
  try {
    return [...(await countCalls(server.url)), ...(await overhead(server.url))];
  } finally {
    await server.stop();
  }
};

const connect = (endpoint: string): KMSClient =>
  new KMSClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "bench", secretAccessKey: "bench" },
    maxAttempts: 1,
  });

const newKey = async (client: KMSClient): Promise<string> => {
  // moto leaves the defaults of the service out of its answer.
  const input = { KeySpec: "SYMMETRIC_DEFAULT", KeyUsage: "ENCRYPT_DECRYPT" } as const;
  const { KeyMetadata } = await client.send(new CreateKeyCommand(input));
  if (KeyMetadata?.Arn === undefined) throw new Error("moto made no key");
  return KeyMetadata.Arn;
};

/** Requests of the service, counted by a proxy in front of it. */
const countCalls = async (target: string): Promise<Measure[]> => {
  const proxy = await startFaultProxy({ target, protocol: "http" });
  const sdk = connect(proxy.url);
  try {
    const uses = (["Encrypt", "Decrypt"] as const).map(awsAction);
    const counted: CountedProvider = {
      provider: createResilientProvider(createAwsKmsProvider({ client: sdk })),
      keyId: await newKey(sdk),
      requests: () => proxy.requests().filter((request) => uses.some((of) => of(request))).length,
    };
    const opens = await openAtOnce(counted, OPENS);
    const reads = await readAtOnce(counted, OPENS);
    const seals = await sealMany(counted, VALUES);
    return [
      calls(`provider-calls-${OPENS}-cold-opens-at-once`, opens.cold, OPENS, 1),
      calls(`provider-calls-${OPENS}-cold-vault-reads-at-once`, reads.cold, OPENS, 1),
      calls(`provider-calls-${VALUES}-sealed-values-cold`, seals.cold, VALUES, 1),
      calls(`provider-calls-${VALUES}-sealed-values-warm`, seals.warm, VALUES, 0),
    ];
  } finally {
    sdk.destroy();
    await proxy.stop();
  }
};

/** Calls against one for each value, which is what using the service directly costs. */
const calls = (name: string, ours: number, theirs: number, exactly: number): Measure => ({
  name,
  unit: "calls",
  ours,
  theirs,
  ratio: ours / theirs,
  target: `= ${exactly}`,
  met: ours === exactly,
});

/**
 * What client, resilience and provider add to one `Encrypt` of the SDK, of the same request: as wall time, and as CPU time of
 * this process, which the noise of the server is not in.
 */
const overhead = async (endpoint: string): Promise<Measure[]> => {
  const sdk = connect(endpoint);
  try {
    const keyId = await newKey(sdk);
    const client = createCryptoClient({
      provider: createResilientProvider(createAwsKmsProvider({ client: sdk })),
    });
    const plaintext = new Uint8Array(randomBytes(32));
    const ours = () => client.encrypt({ keyId, plaintext });
    // The provider sends one byte more, and a context of this size for the AAD.
    const request = {
      KeyId: keyId,
      Plaintext: new Uint8Array(randomBytes(33)),
      EncryptionContext: { "lango-data-aad": randomBytes(32).toString("base64url") },
    };
    const theirs = () => sdk.send(new EncryptCommand(request));
    for (let i = 0; i < WARM_UP; i++) await Promise.all([ours(), theirs()]);
    const rounds: Awaited<ReturnType<typeof alternate>>[] = [];
    for (let i = 0; i < ROUNDS; i++) rounds.push(await alternate(ours, theirs));
    const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
    const wall = of(({ ours, theirs }) => ours.wall / theirs.wall);
    const added = of(({ ours, theirs }) => (ours.cpu - theirs.cpu) / theirs.wall);
    return [
      {
        name: "aws-encrypt-over-bare-sdk",
        unit: "ms",
        ours: of(({ ours }) => ours.wall),
        theirs: of(({ theirs }) => theirs.wall),
        ratio: wall,
        target: "≤ 1.05",
        met: wall <= 1.05,
      },
      {
        name: "aws-encrypt-added-cpu-of-a-call",
        unit: "ms",
        ours: of(({ ours, theirs }) => ours.cpu - theirs.cpu),
        theirs: of(({ theirs }) => theirs.wall),
        ratio: added,
        target: "≤ 0.05",
        met: added <= 0.05,
      },
    ];
  } finally {
    sdk.destroy();
  }
};

interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

/** Medians of many single calls that take turns: whatever slows the server for a while slows both. */
const alternate = async (
  ours: () => Promise<unknown>,
  theirs: () => Promise<unknown>,
): Promise<{ ours: Cost; theirs: Cost }> => {
  const costs = { ours: [] as Cost[], theirs: [] as Cost[] };
  for (let i = 0; i < CALLS_PER_ROUND; i++) {
    const first = i % 2 === 0;
    if (first) costs.ours.push(await costOf(ours));
    costs.theirs.push(await costOf(theirs));
    if (!first) costs.ours.push(await costOf(ours));
  }
  const middle = (all: readonly Cost[]): Cost => ({
    wall: median(all.map(({ wall }) => wall)),
    cpu: median(all.map(({ cpu }) => cpu)),
  });
  return { ours: middle(costs.ours), theirs: middle(costs.theirs) };
};

const costOf = async (work: () => Promise<unknown>): Promise<Cost> => {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { wall, cpu: (user + system) / 1000 };
};
