import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { expectOneFault, folder, lango, langoJson, SECRET, vaultHome } from "./support.ts";

const Sqlite = createRequire(import.meta.url)("better-sqlite3-multiple-ciphers");
const GET = ["security", "secrets", "get", "api/key", "--reveal"];

// biome-ignore lint/suspicious/noExplicitAny: events of two formats
type Line = any;
const linesOf = (text: string): Line[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));

/** A vault whose log has reads, a failure, and a wrong passphrase. */
const busyHome = async (): Promise<string> => {
  const home = await vaultHome();
  await lango(GET, { home });
  await lango(["security", "secrets", "set", "two"], { home, input: "another secret value" });
  await lango(GET, { home, env: { LANGO_PASSPHRASE: "a wrong passphrase" } });
  await lango(["security", "secrets", "delete", "two", "--yes"], { home });
  return home;
};

describe("audit export", () => {
  test("writes a line for each event, with the names that other systems know, and never a value", async () => {
    const home = await busyHome();
    const ran = await lango(["audit", "export"], { home });
    expect(ran.code, ran.stderr).toBe(0);
    const events = linesOf(ran.stdout);
    for (const event of events) {
      expect(Object.keys(event).slice(0, 10)).toEqual([
        ...["user", "key", "scope", "ts", "success", "action", "detail", "seq", "part", "hash"],
      ]);
      expect(event.hash).toMatch(/^[0-9a-f]{64}$/);
      expect(new Date(event.ts).toISOString()).toBe(event.ts);
    }
    expect(events.find(({ action }) => action === "secret.get")).toMatchObject({
      ...{ user: "owner", key: "api/key", scope: "secret", success: true, version: 1 },
    });
    expect(events.find(({ success }) => !success)).toMatchObject({
      ...{ action: "vault.unlock", code: "ERR_WRONG_PASSPHRASE", authenticated: false },
    });
    expect(ran.stdout).not.toContain(SECRET);
    expect(ran.stdout).not.toContain("another secret value");

    const { document } = await langoJson(["audit", "verify", "--links"], { home });
    const { rows, head } = document.data;
    expect(ran.stderr).toBe(
      `${events.length} events; the log was verified up to row ${rows} (links)\n`,
    );
    expect(events.at(-1)).toMatchObject({ seq: rows, hash: head });
    expect(new Set(events.map(({ seq }) => seq)).size).toBe(rows);
  });

  test("takes a part of the log, into a file of mode 0600", async () => {
    const home = await busyHome();
    const place = folder();
    const out = join(place, "audit.jsonl");
    const part = ["audit", "export", "--from", "4", "--out", out];
    const { document } = await langoJson([...part, "--macs"], { home });
    const events = linesOf(readFileSync(out, "utf8"));
    expect(document.data).toMatchObject({ format: "jsonl", out, from: 4, events: events.length });
    expect(document.data.checked).toBe("links and MACs");
    expect(events[0].seq).toBe(4);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const { ts } = events.at(-2);
    const later = linesOf((await lango(["audit", "export", "--since", ts], { home })).stdout);
    expect(later.length).toBeGreaterThan(0);
    for (const event of later) expect(event.ts >= ts).toBe(true);
    const none = await lango(["audit", "export", "--since", "2999-01-01"], { home });
    expect(none.stdout).toBe("");
    expectOneFault(await lango(["audit", "export", "--since", "soon"], { home }), 2, /no time/);
    const noOut = await langoJson(["audit", "export"], { home });
    expect(noOut.code).toBe(2);
    expect(readdirSync(place)).toEqual(["audit.jsonl"]);
  });

  test("ends before the first row that is not as it was written, and says so", async () => {
    const home = await busyHome();
    const database = new Sqlite(join(home, "lango.db"));
    database.exec("update audit_log set entry = replace(entry, 'owner', 'agent') where seq = 4");
    database.close();
    const out = join(folder(), "audit.jsonl");
    const ran = await langoJson(["audit", "export", "--out", out], { home });
    expect(ran.code).toBe(8);
    expect(ran.document.error).toMatchObject({
      code: "ERR_INTEGRITY",
      message: expect.stringMatching(/exported up to row 3: Row 4 was edited: its hash differs/),
    });
    expect(ran.document.data).toMatchObject({ verifiedTo: 3 });
    expect(linesOf(readFileSync(out, "utf8")).at(-1).seq).toBe(3);
    // What has no right MAC shows with the key alone.
    const forged = await busyHome();
    const other = new Sqlite(join(forged, "lango.db"));
    other.exec("update audit_log set mac = zeroblob(32) where seq = 5");
    other.close();
    expect((await lango(["audit", "export"], { home: forged })).code).toBe(0);
    const macs = await lango(["audit", "export", "--macs"], { home: forged });
    expect(macs.code).toBe(8);
    expect(linesOf(macs.stdout).at(-1).seq).toBe(4);
  });

  test("of format ocsf is as the published schema of that version wants it", async () => {
    const schema = JSON.parse(
      execFileSync(
        requireService("ocsf"),
        [
          "-c",
          [
            "import json",
            "from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema",
            'schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.6.0"))',
            'print(json.dumps(schema.get_class_schema("entity_management", [])))',
          ].join("\n"),
        ],
        { encoding: "utf8", maxBuffer: 2 ** 26 },
      ),
    );
    const validate = new Ajv2020({ strict: false, allErrors: true, logger: false }).compile(schema);
    const home = await busyHome();
    const ran = await lango(["audit", "export", "--format", "ocsf"], { home });
    const events = linesOf(ran.stdout);
    expect(events.length).toBeGreaterThan(8);
    for (const event of events) {
      expect(validate(event), JSON.stringify({ event, errors: validate.errors })).toBe(true);
      expect(event.type_uid).toBe(300400 + event.activity_id);
    }
    // It would refuse others.
    const { entity: _, ...without } = events[0];
    expect(validate(without)).toBe(false);
    expect(validate({ ...events[0], surprise: 1 })).toBe(false);
    expect(new Set(events.map(({ metadata }) => metadata.uid)).size).toBe(events.length);
    expect(ran.stdout).not.toContain(SECRET);
    const read = events.find(({ metadata }) => metadata.event_code === "secret.get");
    expect(read).toMatchObject({
      activity_name: "Read",
      status_id: 1,
      entity: { name: "api/key" },
    });
  });

  test("leaves no file when it cannot begin", async () => {
    const home = await vaultHome();
    const out = join(folder(), "audit.jsonl");
    const ran = await lango(["audit", "export", "--from", "0", "--out", out], { home });
    expect(ran.code).toBe(2);
    expect(existsSync(out)).toBe(false);
  });
});
