import {
  appendFileSync,
  chmodSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectOneFault, lango, langoJson, snapshot, vaultHome } from "./support.ts";

const write = (name: string, content: string) => (home: string) =>
  writeFileSync(join(home, name), content, { mode: 0o600 });

/** Changes one field of the slot file, with or without mending its checksum. */
const editSlots = (edit: (file: Record<string, unknown>) => void) => (home: string) => {
  const path = join(home, "keyslots.json");
  const file = JSON.parse(readFileSync(path, "utf8"));
  edit(file);
  writeFileSync(path, JSON.stringify(file));
};

const flipByte = (name: string, at: number) => (home: string) => {
  const path = join(home, name);
  const bytes = readFileSync(path);
  bytes[at]! ^= 0xff;
  writeFileSync(path, bytes);
};

const READ = ["security", "secrets", "get", "api/key", "--reveal"];

/** What is wrong, how it got so, the exit code, and the one line. */
const FAULTS: readonly [string, (home: string) => void, number, RegExp][] = [
  ["config that is no JSON", write("config.json", "{"), 78, /config\.json: JSON ends too early/],
  ["config with an unknown key", write("config.json", '{"securty":{}}'), 78, /securty/],
  ["config with a wrong type", write("config.json", '{"audit":{"onFailure":7}}'), 78, /onFailure/],
  [
    "config with a PIN",
    write("config.json", '{"security":{"kms":{"pkcs11":{"pin":"1234"}}}}'),
    78,
    /PIN/,
  ],
  ["config with a key twice", write("config.json", '{"audit":{},"audit":{}}'), 78, /config\.json/],
  [
    "config that others can write",
    (home) => {
      write("config.json", "{}")(home);
      chmodSync(join(home, "config.json"), 0o622);
    },
    78,
    /mode 0622/,
  ],
  ["slots that are no JSON", write("keyslots.json", "{"), 8, /./],
  ["slots that are empty", write("keyslots.json", ""), 8, /./],
  ["slots with an unknown key", editSlots((file) => Object.assign(file, { extra: 1 })), 8, /./],
  ["slots that were altered", editSlots((file) => Object.assign(file, { generation: 9 })), 8, /./],
  ["slots that are too large", write("keyslots.json", " ".repeat(300 * 1024)), 8, /./],
  [
    "slots with a costly derivation",
    editSlots((file) => {
      (file["slots"] as { kdf: object }[])[0]!.kdf = {
        name: "pbkdf2-sha256",
        iterations: 1e9,
        salt: "AAAA",
      };
    }),
    8,
    /./,
  ],
  ["a home that others can read", (home) => chmodSync(home, 0o755), 78, /mode 755|0755/],
  ["slots without a database", (home) => rmSync(join(home, "lango.db")), 9, /./],
  ["a database without slots", (home) => rmSync(join(home, "keyslots.json")), 9, /./],
  ["a database that is none", write("lango.db", "no database at all".repeat(100)), 8, /./],
  ["a database that is empty", write("lango.db", ""), 8, /./],
  ["a database that was cut", (home) => truncateSync(join(home, "lango.db"), 5000), 8, /./],
  ["a database header that was altered", flipByte("lango.db", 20), 8, /./],
  [
    "a keyfile that others can read",
    (home) => {
      write("passphrase", "whatever it is")(home);
      chmodSync(join(home, "passphrase"), 0o644);
    },
    78,
    /passphrase/,
  ],
];

describe("bad files: one line, their code, and nothing changed", () => {
  test.each(FAULTS)("%s", async (name, spoil, code, line) => {
    const home = await vaultHome();
    spoil(home);
    const before = snapshot(home);
    // The keyfile counts only where nothing was given for the command.
    const args = name.includes("keyfile") ? ["security", "secrets", "history", "api/key"] : READ;
    const env = name.includes("keyfile") ? { LANGO_PASSPHRASE: undefined } : {};
    expectOneFault(await lango(args, { home, env }), code, line);
    const { document, code: again } = await langoJson(args, { home, env });
    expect(again).toBe(code);
    expect(document).toMatchObject({ ok: false, error: { code: expect.stringMatching(/^ERR_/) } });
    // An opening that failed after the passphrase was tried is noted for the log.
    const { [join(home, "unlock-failures.jsonl")]: _, ...after } = snapshot(home);
    expect(after).toEqual(before);
  });

  test("the doctor finds each of them", async () => {
    for (const [name, spoil] of FAULTS) {
      const home = await vaultHome();
      spoil(home);
      const before = snapshot(home);
      const { document, code } = await langoJson(["doctor"], { home });
      expect(code, name).toBe(10);
      expect(document.data.healthy, name).toBe(false);
      expect(snapshot(home), name).toEqual(before);
    }
  });
});

describe("bad settings", () => {
  test.each([
    [["settings", "get", "no.such"], 3, /no setting/],
    [["settings", "set", "no.such", "1"], 3, /no\.such|no such/],
    [["settings", "set", "audit.onFailure", "maybe"], 78, /onFailure/],
    [["settings", "set", "security.keyring.enabled", "yes"], 78, /enabled/],
    [["settings", "set", "security.interceptor.sensitiveTools", "["], 2, /JSON/],
  ])("%j", async (args, code, line) => {
    const home = await vaultHome();
    const before = snapshot(home);
    expectOneFault(await lango(args, { home }), code, line);
    expect(snapshot(home)).toEqual(before);
  });

  test("what is damaged is not overwritten", async () => {
    const home = await vaultHome();
    appendFileSync(join(home, "config.json"), "{ broken", { mode: 0o600 });
    const before = snapshot(home);
    expectOneFault(await lango(["settings", "set", "audit.onFailure", "spool"], { home }), 78, /./);
    expect(snapshot(home)).toEqual(before);
  });
});
