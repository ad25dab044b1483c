import { randomUUID } from "node:crypto";
import type { CryptoProvider } from "@lango/crypto-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { createGcpKmsProvider, type GcpKmsProviderOptions } from "../src/index.ts";
import { type StandIn, startStandIn } from "./stand-in/server.ts";

/** The key ring of the tests. */
export const keyRing = "projects/lango-test/locations/europe-west1/keyRings/tests";

/** What a test file uses of the stand-in. */
export interface Bench {
  readonly standIn: StandIn;
  /** A provider for it; closed after the file. */
  provider(options?: GcpKmsProviderOptions): Required<CryptoProvider>;
  /** Makes a key and gives its resource name. */
  addKey(algorithm?: string, level?: "SOFTWARE" | "HSM", purpose?: string): Promise<string>;
  /** Adds `count` enabled versions. */
  addVersions(key: string, count: number): Promise<void>;
  setState(key: string, version: number, state: string): void;
  /** How often a method was called since the last test. */
  count(method: string): number;
}

/** Starts a stand-in for a test file; faults and counts end with each test. */
export const withStandIn = (): Bench => {
  let standIn: StandIn;
  const providers: CryptoProvider[] = [];
  beforeAll(async () => {
    standIn = await startStandIn();
  });
  afterEach(() => {
    standIn.rules.length = 0;
    standIn.calls.length = 0;
    standIn.resources.pendingPolls = 0;
  });
  afterAll(async () => {
    await Promise.all(providers.map((provider) => provider.close()));
    await standIn.stop();
  });
  return {
    get standIn() {
      return standIn;
    },
    provider(options = {}) {
      const endpoint = options.transport === "rest" ? standIn.restUrl : standIn.grpcUrl;
      const provider = createGcpKmsProvider({ keyRing, endpoint, ...options });
      providers.push(provider);
      return provider as Required<CryptoProvider>;
    },
    async addKey(algorithm = "GOOGLE_SYMMETRIC_ENCRYPTION", level = "SOFTWARE", purpose) {
      const { name } = await standIn.resources.createKey(keyRing, `k-${randomUUID()}`, {
        purpose: purpose ?? purposeOf(algorithm),
        versionTemplate: { algorithm, protectionLevel: level },
      });
      return name;
    },
    async addVersions(key, count) {
      for (let added = 0; added < count; added++) {
        await standIn.resources.addVersion(standIn.resources.key(key));
      }
    },
    setState(key, version, state) {
      standIn.resources.version(`${key}/cryptoKeyVersions/${version}`).version.state = state;
    },
    count: (method) => standIn.calls.filter((call) => call === method).length,
  };
};

const purposeOf = (algorithm: string): string => {
  if (algorithm === "GOOGLE_SYMMETRIC_ENCRYPTION") return "ENCRYPT_DECRYPT";
  return algorithm.startsWith("HMAC") ? "MAC" : "ASYMMETRIC_SIGN";
};
