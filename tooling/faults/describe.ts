import assert from "node:assert/strict";
import { createResilientProvider } from "@lango/crypto-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SeenRequest } from "./fault.ts";
import { observe, outcomeOf, type Site } from "./observe.ts";
import type { FaultRow } from "./row.ts";

/** A provider to be struck, and what its server has. */
export interface FaultSite extends Site {
  /** What a key for encryption that the provider makes is made of. */
  readonly algorithm: "aes-256-gcm" | "rsa-2048";
  /** The one request that makes a key, and the one that makes a version. */
  readonly isCreation: (request: SeenRequest) => boolean;
  readonly isRotation: (request: SeenRequest) => boolean;
  /** How many keys the server has, and how many versions of `keyId`. */
  readonly keys: () => Promise<number>;
  readonly versions: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** Registers a test for each fault, and those that nothing is done twice. */
export function describeFaults(
  name: string,
  rows: readonly FaultRow[],
  setUp: () => Promise<FaultSite>,
): void {
  describe(`faults of ${name}`, () => {
    let site: FaultSite;
    beforeAll(async () => {
      site = await setUp();
    });
    afterAll(() => site?.stop());

    it.each(rows)("$class: $name", async (row) => {
      expect(await observe(site, row)).toEqual(row.expected);
    });

    it.each(["createKey", "rotateKey"] as const)("%s is sent once, its answer lost", async (op) => {
      const { proxy, algorithm, keyId } = site;
      const resilient = createResilientProvider(site.provider, { retry: { baseDelayMs: 1 } });
      const { createKey, rotateKey } = resilient;
      assert.ok(createKey !== undefined && rotateKey !== undefined);
      const create = op === "createKey";
      const count = create ? site.keys : site.versions;
      const match = create ? site.isCreation : site.isRotation;
      const before = await count();
      proxy.clear();
      proxy.inject({ match, fault: { kind: "reset", after: "the work" } });
      const outcome = await outcomeOf(() =>
        create ? createKey({ algorithm, usage: "encryption" }) : rotateKey({ keyId }),
      );
      expect(outcome).toBe("ERR_UNAVAILABLE");
      expect(proxy.requests().filter(match)).toHaveLength(1);
      expect(await count()).toBe(before + 1);
    });
  });
}
