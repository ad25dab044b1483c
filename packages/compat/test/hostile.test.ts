import { execFileSync } from "node:child_process";
import { pbkdf2Sync } from "node:crypto";
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import { openStore, type SqliteConstructor } from "@lango/store";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OriginalDocument } from "../../../tooling/services/original.ts";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import { openOriginal } from "../src/index.ts";
import { bytes, fails, folder, make, open, PASSPHRASE, SECRETS, snapshot } from "./helpers.ts";

const Sqlite = createRequire(import.meta.url)(
  "better-sqlite3-multiple-ciphers",
) as SqliteConstructor;

const other = bytes("another passphrase");

/** Flips a bit of base64. */
const flipped = (text: string): string => {
  const altered = Buffer.from(text, "base64");
  altered[altered.length - 1]! ^= 1;
  return altered.toString("base64");
};

describe("a wrong passphrase", () => {
  test.each([
    ["legacy", undefined],
    ["legacy", "passphrase"],
    ["envelope", undefined],
    ["envelope", "raw"],
  ] as const)("%s, encrypted with %s: ERR_WRONG_PASSPHRASE", async (mode, encrypted) => {
    const { file } = make({ mode, ...(encrypted ? { encrypted } : {}) });
    const before = snapshot(dirname(file));
    await fails("ERR_WRONG_PASSPHRASE", open(file, { passphrase: other }));
    expect(snapshot(dirname(file))).toEqual(before);
  });

  test("also without a checksum, by the secrets", async () => {
    const { file } = make({
      alter: (document) => {
        document.checksum = null;
      },
    });
    await fails("ERR_WRONG_PASSPHRASE", open(file, { passphrase: other }));
  });
});

describe("what was altered is named", () => {
  const cases: [
    string,
    CryptoErrorCode,
    RegExp,
    "legacy" | "envelope",
    (d: OriginalDocument) => void,
  ][] = [
    [
      "the checksum",
      "ERR_INTEGRITY",
      /checksum .* was altered/,
      "legacy",
      (document) => {
        document.checksum = flipped(document.checksum ?? "");
      },
    ],
    [
      "the salt",
      "ERR_WRONG_PASSPHRASE",
      /not the passphrase/,
      "legacy",
      (document) => {
        document.salt = flipped(document.salt);
      },
    ],
    [
      "the length of the salt",
      "ERR_INTEGRITY",
      /no salt of 16 bytes/,
      "legacy",
      (document) => {
        document.salt = "AAAA";
      },
    ],
    [
      "the wrapped master key",
      "ERR_WRONG_PASSPHRASE",
      /opens no slot/,
      "envelope",
      ({ envelope }) => {
        envelope.slots[0].wrapped_mk = flipped(envelope.slots[0].wrapped_mk);
      },
    ],
    [
      "the type of a slot",
      "ERR_MALFORMED_ENVELOPE",
      /type of a slot is no text/,
      "envelope",
      ({ envelope }) => {
        envelope.slots[0].type = { toString: 1 };
      },
    ],
    [
      "the length of the envelope",
      "ERR_MALFORMED_ENVELOPE",
      /more than 262144 bytes/,
      "envelope",
      ({ envelope }) => {
        envelope.comment = " ".repeat(256 * 1024);
      },
    ],
    [
      "base64 of the envelope",
      "ERR_MALFORMED_ENVELOPE",
      /salt of a slot is no base64/,
      "envelope",
      ({ envelope }) => {
        envelope.slots[0].salt = "!";
      },
    ],
    [
      "the version of the envelope",
      "ERR_MALFORMED_ENVELOPE",
      /another version/,
      "envelope",
      ({ envelope }) => {
        envelope.version = 2;
      },
    ],
    [
      "slots that are gone",
      "ERR_MALFORMED_ENVELOPE",
      /no slots/,
      "envelope",
      ({ envelope }) => {
        envelope.slots = [];
      },
    ],
    [
      "too many slots",
      "ERR_MALFORMED_ENVELOPE",
      /more than 32/,
      "envelope",
      ({ envelope }) => {
        envelope.slots = Array(33).fill(envelope.slots[0]);
      },
    ],
    [
      "costs without end",
      "ERR_MALFORMED_ENVELOPE",
      /out of range/,
      "envelope",
      ({ envelope }) => {
        envelope.slots[0].kdf_params.iterations = 2 ** 31;
      },
    ],
    [
      "an envelope that no passphrase opens",
      "ERR_UNSUPPORTED",
      /no slot that a passphrase/,
      "envelope",
      ({ envelope }) => {
        envelope.slots.shift();
      },
    ],
  ];

  test.each(cases)("%s: %s", async (_, code, message, mode, alter) => {
    const { file } = make({ mode, alter });
    const before = snapshot(dirname(file));
    await fails(code, open(file), message);
    expect(snapshot(dirname(file))).toEqual(before);
  });

  test.each(["legacy", "envelope"] as const)(
    "a value, %s: by the name of its secret",
    async (mode) => {
      const { file } = make({
        mode,
        alter: ({ secrets }) => {
          secrets[0]!.value = flipped(secrets[0]!.value);
          secrets[1]!.value = "AAAA";
        },
      });
      const original = await open(file);
      expect(() => original.read("openai/api-key")).toThrow(
        expect.objectContaining({
          code: "ERR_DECRYPTION_FAILED",
          message: expect.stringContaining('"openai/api-key"'),
        }),
      );
      expect(() => original.read("empty")).toThrow("was altered");
      expect(Buffer.from(original.read("binary")).length).toBe(256);
    },
  );

  test("a master key of another length", async () => {
    const { file, document } = make({ mode: "envelope" });
    const [slot] = document.envelope.slots;
    const salt = Buffer.from(slot.salt, "base64");
    const kek = pbkdf2Sync(PASSPHRASE, salt, 100_000, 32, "sha256");
    const name = "AES-GCM";
    const key = await crypto.subtle.importKey("raw", kek, name, false, ["encrypt"]);
    const iv = Buffer.from(slot.nonce, "base64");
    const wrapped = await crypto.subtle.encrypt({ name, iv }, key, new Uint8Array(16));
    slot.wrapped_mk = Buffer.from(wrapped).toString("base64");
    writeFileSync(join(dirname(file), "envelope.json"), JSON.stringify(document.envelope));
    await fails("ERR_WRONG_PASSPHRASE", open(file), /opens no slot/);
  });

  test("an envelope of another database", async () => {
    const { file } = make({ mode: "envelope", encrypted: "raw" });
    const stranger = make({ mode: "envelope" });
    const envelope = join(dirname(stranger.file), "envelope.json");
    await fails("ERR_INTEGRITY", open(file, { envelope }), /of another envelope/);
  });
});

describe("a file that is not such a database is named and left", () => {
  test.each(["passphrase", undefined] as const)(
    "truncated, encrypted with %s",
    async (encrypted) => {
      const secrets = Array.from({ length: 200 }, (_, at) => ({
        name: `name/${at}`,
        value: bytes("v".repeat(500)),
      }));
      const { file } = make({ secrets, ...(encrypted ? { encrypted } : {}) });
      const whole = readFileSync(file).length;
      truncateSync(file, Math.floor(whole / 2 / 4096) * 4096);
      await fails("ERR_INTEGRITY", open(file), /is damaged/);
      truncateSync(file, 0);
      await fails("ERR_INTEGRITY", open(file), /empty/);
    },
  );

  test("another program's, one of this Lango, a folder, nothing", async () => {
    const file = join(folder(), "lango.db");
    await fails("ERR_NOT_FOUND", open(file), /is not there/);
    await fails("ERR_CONFIG", open(dirname(file)), /no regular file/);
    const database = new Sqlite(file, {});
    database.exec(
      "create table ent_types (id integer); create table keys (id, name, remote_key_id)",
    );
    await fails("ERR_INTEGRITY", open(file), /another application: it has no secrets.id/);
    database.exec("create view secrets as select 1 as id, 'x' as name");
    await fails("ERR_INTEGRITY", open(file), /another application/);
    database.close();
    const ours = join(folder(), "lango.db");
    await (await openStore({ file: ours, mode: "create" })).close();
    await fails("ERR_CONFLICT", open(ours), /of this Lango already/);
    writeFileSync(file, "not a database at all");
    await fails("ERR_WRONG_PASSPHRASE", open(file), /or the file is damaged/);
  });

  test.skipIf(process.platform === "win32")("a named pipe in the place of a file", async () => {
    for (const [mode, name] of [
      ["envelope", "envelope.json"],
      ["legacy", "lango.db-wal"],
    ] as const) {
      const { file } = make({ mode });
      const pipe = join(dirname(file), name);
      rmSync(pipe, { force: true });
      execFileSync("mkfifo", [pipe]);
      await fails("ERR_CONFIG", open(file), /is no regular file/);
    }
  });

  test("a page that lost a row, which nobody would miss", async () => {
    const { file } = make();
    const database = new Sqlite(file, {});
    // Read by this index, it would be missed.
    database.exec("drop index secrets_name_key");
    const [row] = database
      .prepare("select rootpage from sqlite_schema where name = 'secrets'")
      .all() as { rootpage: number }[];
    database.close();
    const whole = readFileSync(file);
    // The number of cells of the page.
    const at = (row!.rootpage - 1) * 4096 + 3;
    whole.writeUInt16BE(whole.readUInt16BE(at) - 1, at);
    writeFileSync(file, whole);
    await fails("ERR_INTEGRITY", open(file), /is damaged/);
  });

  /** Changes what was made, as its owner could. */
  const changed = (sql: string): string => {
    const { file } = make();
    const database = new Sqlite(file, {});
    database.exec(sql);
    database.close();
    return file;
  };

  test("a schema that says it is another one", async () => {
    const view = changed(`alter table secrets rename to hidden;
      create view secrets as with recursive endless(n) as (select 1 union all select n + 1 from endless)
        select *, n from hidden, endless;
      create table pragma_table_list (schema, name, type);
      insert into pragma_table_list values ('main', 'secrets', 'table'), ('main', 'keys', 'table');`);
    await fails("ERR_INTEGRITY", open(view), /has no secrets.id/);
    const computed = changed(`alter table security_config rename to hidden;
      create table security_config (name, other, value generated always as (zeroblob(1000)));
      insert into security_config (name) values ('default');`);
    await fails("ERR_INTEGRITY", open(computed), /has no security_config.value/);
    const profiles = changed("alter table config_profiles rename column name to another");
    await fails("ERR_INTEGRITY", open(profiles), /has no config_profiles.name/);
  });

  test("a table with the name of a function of SQLite, and any other name", async () => {
    const names = ["pragma_table_info", 'quote"', "__proto__", "\u202e\n"];
    const file = changed(
      names
        .map((name) => `"${name.replaceAll('"', '""')}"`)
        .map((name) => `create table ${name} (x); insert into ${name} values (1);`)
        .join(""),
    );
    const original = await open(file);
    expect(Object.entries(original.tables).sort()).toEqual(
      [...names, "sessions"].map((name) => [name, 1]).sort(),
    );
    expect(original.secrets).toHaveLength(SECRETS.length);
  });

  test("any altered byte ends in the same values, or an error with a code", async () => {
    const { file } = make({ inLog: 1 });
    const whole = readFileSync(file);
    const expected = new Map(SECRETS.map(({ name, value }) => [name, Buffer.from(value)]));
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const altered = Buffer.from(whole);
          altered[at]! ^= flip;
          const path = join(folder(), "lango.db");
          writeFileSync(path, altered);
          try {
            using original = await openOriginal({
              ...{ file: path, passphrase: bytes(PASSPHRASE), workFolder: folder() },
            });
            for (const { name } of original.secrets) {
              const value = Buffer.from(original.read(name));
              // There is no AAD: a name that was altered keeps its value, and that nobody can see.
              if (expected.has(name)) expect(value).toEqual(expected.get(name));
            }
            count(outcomes, "read");
          } catch (error) {
            if (!isCryptoError(error)) throw error;
            expect(error.code).not.toBe("ERR_INTERNAL");
            count(outcomes, error.code);
          }
        },
      ),
      { numRuns: torture(12, 2000) },
    );
    report("databases of the original with a byte changed", outcomes);
  });
});
