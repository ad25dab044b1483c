import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { Encrypter } from "age-encryption";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import { restoreBackup, verifyBackup } from "../src/index.ts";
import { BLOCK_BYTES, encodeHeader } from "../src/tar.ts";
import { Sqlite } from "./sqlite.ts";
import {
  ageExtract,
  type Backed,
  backedUp,
  backUp,
  create,
  newFolder,
  open,
  PASSPHRASE,
  snapshot,
  unlockWith,
} from "./support.ts";

/** A file in an archive that somebody made by hand. */
interface Entry {
  readonly name: string;
  readonly content: Uint8Array;
  /** Changes the header before its checksum is computed. */
  readonly edit?: (header: Uint8Array) => void;
  readonly size?: number;
}

const checksum = (header: Uint8Array): void => {
  header.fill(0x20, 148, 156);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.set(utf8(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
};

const tarOf = (entries: readonly Entry[], end = 2 * BLOCK_BYTES): Buffer =>
  Buffer.concat([
    ...entries.flatMap(({ name, content, edit, size = content.length }) => {
      const header = encodeHeader({ name: "x", size }, 0);
      header.fill(0, 0, 100);
      header.set(utf8(name));
      edit?.(header);
      checksum(header);
      const padding = new Uint8Array((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES);
      return [header, content, padding];
    }),
    new Uint8Array(end),
  ]);

/** The parts of a sound backup, to be put together wrongly. */
const partsOf = (backed: Backed): Entry[] => {
  const into = ageExtract(requireService("age"), backed, backed.file);
  const manifest = readFileSync(join(into, "manifest.json"));
  const { entries } = JSON.parse(manifest.toString()) as { entries: { name: string }[] };
  return [
    { name: "manifest.json", content: manifest },
    ...entries.map(({ name }) => ({ name, content: readFileSync(join(into, name)) })),
  ];
};

const sealed = async ({ recipient }: Backed, tar: Uint8Array): Promise<Uint8Array> => {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return encrypter.encrypt(tar);
};

// biome-ignore lint/suspicious/noExplicitAny: it is there to be made wrong.
const edited = (parts: readonly Entry[], edit: (manifest: any) => void): Entry[] => {
  const [first, ...others] = parts;
  const manifest = JSON.parse(Buffer.from(first!.content).toString());
  edit(manifest);
  return [{ name: "manifest.json", content: utf8(JSON.stringify(manifest)) }, ...others];
};

const LARGE = new Uint8Array(1024 * 1024 + 1);
const typed = (type: string) => (header: Uint8Array) => void header.set(utf8(type), 156);
const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

const attempt = (backed: Backed, file: string) =>
  restoreBackup({
    ...{ file, home: join(backed.folder, "to"), opening: { identities: [backed.identity] } },
    unlock: unlockWith(),
  });

describe("a hostile archive", () => {
  test("is refused by its kind, and nothing changes", async () => {
    const backed = await backedUp();
    const parts = partsOf(backed);
    const with_ = (...more: Entry[]): Buffer => tarOf([...parts, ...more]);
    const instead = (name: string, entry: Partial<Entry>): Buffer =>
      tarOf(parts.map((part) => (part.name === name ? { ...part, ...entry } : part)));
    const file = { content: utf8("x") };
    const malformed = "ERR_MALFORMED_ENVELOPE";
    const cases: Record<string, readonly [tar: Uint8Array, code: string]> = {
      "a path above": [with_({ name: "../evil", ...file }), malformed],
      "an absolute path": [with_({ name: "/tmp/evil", ...file }), malformed],
      "a folder below": [with_({ name: "run/evil", ...file }), malformed],
      "a hidden file": [with_({ name: ".bashrc", ...file }), malformed],
      "a control character": [with_({ name: "a\u001b[2J", ...file }), malformed],
      "a symbolic link": [instead("config.json", { edit: typed("2") }), malformed],
      "a hard link": [instead("config.json", { edit: typed("1") }), malformed],
      "a character device": [instead("config.json", { edit: typed("3") }), malformed],
      "a block device": [instead("config.json", { edit: typed("4") }), malformed],
      "a folder": [instead("config.json", { edit: typed("5") }), malformed],
      "a named pipe": [instead("config.json", { edit: typed("6") }), malformed],
      "an extended header": [instead("config.json", { edit: typed("x") }), malformed],
      "a long name of GNU": [instead("config.json", { edit: typed("L") }), malformed],
      "a link name": [
        instead("config.json", { edit: (header) => header.set(utf8("/etc/passwd"), 157) }),
        malformed,
      ],
      "a prefix": [
        instead("config.json", { edit: (header) => header.set(utf8("run"), 345) }),
        malformed,
      ],
      "a file that the manifest lacks": [with_({ name: "passphrase", ...file }), malformed],
      "a file twice": [with_(parts.at(-1)!), malformed],
      "a file twice in the manifest": [
        tarOf(edited([...parts, parts[1]!], ({ entries }) => entries.push(entries[0]))),
        malformed,
      ],
      "a key file in the manifest": [
        tarOf(
          edited([...parts, { name: "master.key", ...file }], ({ entries }) =>
            entries.push({ name: "master.key", size: 1, sha256: "0".repeat(64) }),
          ),
        ),
        malformed,
      ],
      "settings without end": [
        tarOf(
          edited(parts, ({ entries }) => {
            const entry = entries.find(({ name }: { name: string }) => name === "config.json");
            Object.assign(entry, { size: LARGE.length, sha256: sha256(LARGE) });
          }).map((part) => (part.name === "config.json" ? { ...part, content: LARGE } : part)),
        ),
        malformed,
      ],
      "a header whose sum is another": [((tar) => tar.fill(1, 100, 101))(tarOf(parts)), malformed],
      "another order": [tarOf([parts[0]!, ...parts.slice(1).reverse()]), malformed],
      "no manifest": [tarOf(parts.slice(1)), malformed],
      "no database": [tarOf(edited(parts.slice(0, -1), ({ entries }) => entries.pop())), malformed],
      "more declared than there is": [
        tarOf(
          edited(parts, ({ entries }) => {
            entries.at(-1).size = 2 ** 40;
          }),
        ),
        malformed,
      ],
      "a size below zero": [
        instead("lango.db", { edit: (header) => header.set(utf8("-0000000001\0"), 124) }),
        malformed,
      ],
      "a size beyond all numbers": [
        instead("lango.db", { edit: (header) => header.fill(0xff, 124, 136).fill(0x80, 124, 125) }),
        malformed,
      ],
      "a manifest without end": [
        tarOf([{ name: "manifest.json", content: new Uint8Array(), size: 2 ** 33 }]),
        malformed,
      ],
      "a manifest that is no JSON": [
        tarOf([{ name: "manifest.json", content: utf8("{") }, ...parts.slice(1)]),
        malformed,
      ],
      "a newer format": [
        tarOf(
          edited(parts, (manifest) => {
            manifest.version = 2;
            manifest.extra = true;
          }),
        ),
        "ERR_CONFLICT",
      ],
      "another file under the same manifest": [
        instead("config.json", { content: utf8('{"audit":{"onFailure":"deny"}}\n '.slice(0, 32)) }),
        "ERR_INTEGRITY",
      ],
      "no end": [tarOf(parts, 0), "ERR_INTEGRITY"],
      "something after the end": [Buffer.concat([tarOf(parts), utf8("more")]), malformed],
      "nothing at all": [new Uint8Array(), "ERR_INTEGRITY"],
      text: [utf8("hello ".repeat(500)), malformed],
    };
    const bad = join(backed.folder, "bad.age");
    const home = join(backed.folder, "to");
    writeFileSync(bad, "");
    const before = snapshot(backed.folder);
    const found: Record<string, unknown> = {};
    for (const [name, [tar]] of Object.entries(cases)) {
      writeFileSync(bad, await sealed(backed, tar));
      const options = { file: bad, home, opening: { identities: [backed.identity] } };
      const restored = restoreBackup({ ...options, unlock: unlockWith() });
      found[name] = await restored.then(
        () => "restored",
        (error: { code?: string }) => error.code ?? error,
      );
      writeFileSync(bad, "");
      expect(snapshot(backed.folder), name).toEqual(before);
    }
    expect(found).toEqual(
      Object.fromEntries(Object.entries(cases).map(([name, [, code]]) => [name, code])),
    );
  });

  test("of who has the recipient but not the vault's key is refused: its manifest has no right MAC", async () => {
    const backed = await backedUp();
    const config = utf8('{"security":{"pkcs11":{"modulePath":"/tmp/evil.so"}}}');
    const parts = edited(partsOf(backed), ({ entries }) => {
      const entry = entries.find(({ name }: { name: string }) => name === "config.json");
      Object.assign(entry, { size: config.length, sha256: sha256(config) });
    }).map((part) => (part.name === "config.json" ? { ...part, content: config } : part));
    const bad = join(backed.folder, "bad.age");
    writeFileSync(bad, await sealed(backed, tarOf(parts)));
    // Everything but the vault's key fits.
    await verifyBackup({ file: bad, opening: { identities: [backed.identity] } });
    const before = snapshot(backed.folder);
    await expect(attempt(backed, bad)).rejects.toMatchObject({
      code: "ERR_INTEGRITY",
      message: "The backup cannot be trusted: its manifest was not written by this vault",
    });
    expect(snapshot(backed.folder)).toEqual(before);
  });

  test("that does not fit on the disk is refused before a file of it is written", async () => {
    const backed = await backedUp();
    const { bavail, bsize } = statfsSync(backed.folder);
    const size = bavail * bsize + 2 ** 30;
    const parts = edited(partsOf(backed), ({ entries }) => {
      entries.find(({ name }: { name: string }) => name === "lango.db").size = size;
    });
    const bad = join(backed.folder, "bad.age");
    writeFileSync(bad, await sealed(backed, tarOf(parts)));
    // As long as it says: with a hole at its end, which takes no space.
    truncateSync(bad, size + 2 ** 30);
    await expect(attempt(backed, bad)).rejects.toMatchObject({
      code: "ERR_BUSY",
      message: expect.stringMatching(/is too full: \d+ MiB are needed, \d+ are free/),
      retryable: false,
    });
    truncateSync(bad, 0);
    expect(readdirSync(backed.folder).filter((name) => name.includes("restor"))).toEqual([]);
  });

  test("of two vaults is refused", async () => {
    const [backed, other] = [await backedUp(), await backedUp()];
    const [ours, theirs] = [partsOf(backed), partsOf(other)];
    const swap = (name: string): Entry[] => {
      const content = theirs.find((part) => part.name === name)!.content;
      return edited(ours, ({ entries }) => {
        const entry = entries.find((each: { name: string }) => each.name === name);
        Object.assign(entry, { size: content.length, sha256: sha256(content) });
      }).map((part) => (part.name === name ? { ...part, content } : part));
    };
    const bad = join(backed.folder, "bad.age");
    for (const name of ["keyslots.json", "lango.db"]) {
      writeFileSync(bad, await sealed(backed, tarOf(swap(name))));
      const before = snapshot(backed.folder);
      await expect(attempt(backed, bad), name).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
      expect(snapshot(backed.folder)).toEqual(before);
    }
    // Without any key of the vault, too.
    writeFileSync(bad, await sealed(backed, tarOf(swap("keyslots.json"))));
    const verified = verifyBackup({ file: bad, opening: { identities: [backed.identity] } });
    await expect(verified).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
  });

  test("cut or altered anywhere is refused", async () => {
    const backed = await backedUp();
    const whole = readFileSync(backed.file);
    const bad = join(newFolder(), "bad.age");
    const codes = ["ERR_MALFORMED_ENVELOPE", "ERR_INTEGRITY", "ERR_WRONG_PASSPHRASE"];
    const outcomes = new Map<string, number>();
    const check = async (bytes: Uint8Array): Promise<void> => {
      writeFileSync(bad, bytes);
      const verified = verifyBackup({ file: bad, opening: { identities: [backed.identity] } });
      const code = await verified.then(
        () => "sound",
        (error: { code?: string }) => error.code,
      );
      expect(codes).toContain(code);
      count(outcomes, `${code}`);
    };
    const place = fc.oneof(fc.nat(600), fc.nat(whole.length - 1));
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        await check(whole.subarray(0, at));
        const altered = Buffer.from(whole);
        altered[at]! ^= flip;
        await check(altered);
      }),
      { numRuns: torture(60, 2000) },
    );
    report("backups cut off or with a byte changed, verified", outcomes);
    await check(Buffer.concat([whole, utf8("x")]));
  });

  test("that asks for endless work or memory is refused at once", async () => {
    const bad = join(newFolder(), "bad.age");
    const mac = "A".repeat(43);
    const salt = "A".repeat(22);
    const heads = {
      "2^40 rounds of scrypt": `age-encryption.org/v1\n-> scrypt ${salt} 40\n${mac}\n--- ${mac}\n`,
      "a header without end": `age-encryption.org/v1\n-> X25519 ${"A".repeat(2 ** 20)}`,
      "an armored file": `-----BEGIN AGE ENCRYPTED FILE-----\n${mac}\n`,
    };
    for (const [name, head] of Object.entries(heads)) {
      writeFileSync(bad, head);
      await expect(
        verifyBackup({ file: bad, opening: { passphrase: utf8(PASSPHRASE) } }),
        name,
      ).rejects.toMatchObject({ code: "ERR_MALFORMED_ENVELOPE" });
    }
  });
});

describe("a backup of a vault that was tampered with", () => {
  test("is not taken into use", async () => {
    const backed = await backedUp();
    const edits = {
      "an edited row of the log":
        "update audit_log set entry = replace(entry, 'success', 'failure') where seq = 2",
      "a row that is gone": "delete from audit_log where seq = 3",
      "a device made active": "update companions set name = 'other'",
      "an older value": "update secret_versions set size = size, sealed = zeroblob(80)",
      "a table of somebody else": "create table evil (x)",
    };
    for (const [name, sql] of Object.entries(edits)) {
      const home = join(newFolder(), "home");
      const vault = await create(home);
      await vault.secrets.set("api/key", utf8("v"));
      await vault.companions.add({
        ...{ id: "b".repeat(22), name: "phone", role: "companion" },
        fingerprint: "e".repeat(43),
      });
      await vault.close();
      const database = new Sqlite(join(home, "lango.db"), {});
      database.exec(sql);
      database.close();
      const again = await open(home);
      const file = join(newFolder(), "vault.age");
      await backUp(again, file, backed.recipient);
      await again.close();
      await expect(attempt(backed, file), name).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
    }
    expect(readdirSync(backed.folder).sort()).toEqual(["home", "vault.age"]);
  });
});
