import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { appendFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { leftovers, watchKeyMaterial } from "../../../tooling/vitest/key-material.ts";
import { openOriginal, removeCopies } from "../src/index.ts";
import {
  bytes,
  fails,
  folder,
  make,
  open,
  PASSPHRASE,
  SECRETS,
  snapshot,
  values,
  valuesOf,
} from "./helpers.ts";

const ENCRYPTIONS = [undefined, "passphrase"] as const;

describe("a database of the original", () => {
  test.each(ENCRYPTIONS)("legacy, encrypted with %s: every secret is read", async (encrypted) => {
    const { file } = make({ ...(encrypted ? { encrypted } : {}) });
    const before = snapshot(dirname(file));
    const original = await open(file);
    expect(original).toMatchObject({ mode: "legacy", encrypted: encrypted !== undefined });
    expect(values(original)).toEqual(valuesOf(SECRETS));
    expect(original.secrets.map(({ name }) => name)).toEqual(
      SECRETS.map(({ name }) => name).sort(),
    );
    expect(original.secrets[0]).toEqual({
      name: "binary",
      key: { name: "default", remoteId: "local" },
      createdAt: Date.UTC(2026, 1, 20, 1, 11, 12, 123),
      updatedAt: Date.UTC(2026, 1, 20, 1, 11, 12, 123),
      uses: 7,
    });
    expect(original).toMatchObject({
      profiles: ["default"],
      tables: { sessions: 1 },
      unreadable: [],
      otherSlots: [],
    });
    original.close();
    original.close();
    expect(snapshot(dirname(file))).toEqual(before);
  });

  test.each([...ENCRYPTIONS, "raw"] as const)(
    "with an envelope, encrypted with %s: every secret is read",
    async (encrypted) => {
      // With the passphrase is what the original's own db-migrate leaves, and it cannot open again.
      const { file } = make({ mode: "envelope", ...(encrypted ? { encrypted } : {}) });
      const before = snapshot(dirname(file));
      const original = await open(file);
      expect(original).toMatchObject({
        mode: "envelope",
        encrypted: encrypted !== undefined,
        otherSlots: ["mnemonic"],
      });
      expect(values(original)).toEqual(valuesOf(SECRETS));
      expect(snapshot(dirname(file))).toEqual(before);
    },
  );

  test.each([1024, 8192, 65_536])("with pages of %d bytes", async (pageSize) => {
    const { file } = make({ encrypted: "passphrase", pageSize });
    expect(values(await open(file))).toEqual(valuesOf(SECRETS));
  });

  test.each(ENCRYPTIONS)("killed, encrypted with %s: what is in its log too", async (encrypted) => {
    const { file } = make({ inLog: 2, ...(encrypted ? { encrypted } : {}) });
    const before = snapshot(dirname(file));
    expect(Object.keys(before)).toContain("lango.db-wal");
    expect(values(await open(file))).toEqual(valuesOf(SECRETS));
    expect(snapshot(dirname(file))).toEqual(before);
  });

  test("through a link, with the log beside what it leads to", async () => {
    const { file } = make({ inLog: 2 });
    const link = join(folder(), "lango.db");
    symlinkSync(file, link);
    expect(values(await open(link))).toEqual(valuesOf(SECRETS));
  });

  test.each(["legacy", "master"] as const)(
    "whose migration was interrupted: values under the %s key, whatever the file is under",
    async (sealedBy) => {
      for (const encrypted of [undefined, "passphrase", "raw"] as const) {
        const { file } = make({
          ...{ mode: "envelope", secrets: SECRETS.map((secret) => ({ ...secret, sealedBy })) },
          ...(encrypted ? { encrypted } : {}),
          alter: (document) => {
            document.legacy = true;
            document.envelope.pending_migration = true;
            document.envelope.pending_rekey = true;
          },
        });
        expect(values(await open(file))).toEqual(valuesOf(SECRETS));
      }
    },
  );

  test("names what a key of a service sealed, and reads what only bears its name", async () => {
    const remote = "arn:aws:kms:eu-west-1:1:key/2";
    const { file } = make({
      secrets: [
        ...SECRETS,
        { name: "in-the-service", value: bytes("?"), remote, sealedBy: "service" },
        { name: "during-an-outage", value: bytes("!"), remote },
      ],
    });
    const original = await open(file);
    expect(Object.keys(values(original))).toContain("during-an-outage");
    expect(original.unreadable).toMatchObject([
      { name: "in-the-service", key: { name: "kms-default", remoteId: remote } },
    ]);
    expect(() => original.read("in-the-service")).toThrow("has no such secret");
  });

  test("without a checksum, as the oldest are", async () => {
    const { file } = make({
      alter: (document) => {
        document.checksum = null;
      },
    });
    expect(values(await open(file))).toEqual(valuesOf(SECRETS));
  });

  test("with another passphrase for the file than for the values", async () => {
    const { file } = make({ mode: "envelope", passphrase: PASSPHRASE, encrypted: "passphrase" });
    const database = bytes(PASSPHRASE);
    expect(values(await open(file, { databasePassphrase: database }))).toEqual(valuesOf(SECRETS));
    expect(database).toEqual(bytes(PASSPHRASE));
  });

  test.each(["legacy", "envelope"] as const)(
    "leaves nothing in memory when it is closed, and no copy while it is open, %s",
    async (mode) => {
      const { file } = make({ mode, encrypted: mode === "legacy" ? "passphrase" : "raw" });
      const workFolder = folder();
      const passphrase = bytes(PASSPHRASE);
      const seen = watchKeyMaterial();
      const original = await openOriginal({ file, passphrase, workFolder });
      expect(readdirSync(workFolder)).toEqual([]);
      for (const { name } of original.secrets) original.read(name).fill(0);
      original.close();
      passphrase.fill(0);
      expect(seen.passphraseKeys.length + seen.opened.length).toBeGreaterThan(4);
      expect(leftovers(seen)).toEqual([]);
    },
  );

  test.each([
    ["legacy", "another passphrase"],
    ["envelope", "another passphrase"],
  ] as const)("leaves nothing in memory when it does not open, %s", async (mode, wrong) => {
    const { file } = make({ mode });
    const workFolder = folder();
    const passphrase = bytes(wrong);
    const seen = watchKeyMaterial();
    await expect(openOriginal({ file, passphrase, workFolder })).rejects.toThrow();
    passphrase.fill(0);
    expect(seen.passphraseKeys.length).toBeGreaterThan(0);
    expect(leftovers(seen)).toEqual([]);
    expect(readdirSync(workFolder)).toEqual([]);
  });

  test.each(["", "-wal"])(
    "lango.db%s is changed while it is read: ERR_BUSY, and no copy stays",
    async (suffix) => {
      const { file } = make({ inLog: 1 });
      const workFolder = folder();
      const change = (stage: unknown): void => {
        if (stage === "copied") appendFileSync(file + suffix, "more");
      };
      subscribe("lango.compat.stage", change);
      onTestFinished(() => void unsubscribe("lango.compat.stage", change));
      await fails("ERR_BUSY", open(file, { workFolder }), /was changed while it was read/);
      expect(readdirSync(workFolder)).toEqual([]);
    },
  );

  test("what a killed reader left of its copy is removed", async () => {
    const workFolder = folder();
    const others = [".copy-of-original-of-may", ".original-abcdef"];
    for (const name of [".copy-of-original-abc123", ...others]) {
      mkdirSync(join(workFolder, name));
      writeFileSync(join(workFolder, name, "lango.db"), "half");
    }
    writeFileSync(join(workFolder, "lango.db"), "not this");
    removeCopies(workFolder);
    expect(readdirSync(workFolder).sort()).toEqual([...others, "lango.db"].sort());
  });
});
