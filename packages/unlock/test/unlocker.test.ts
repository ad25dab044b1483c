import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CryptoError, utf8 } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import {
  createUnlocker,
  type KeyringBackend,
  type KeyringEntry,
  type SlotKind,
  type UnlockOptions,
} from "../src/index.ts";
import { failureOf, KEY_HEX, options, slots, temporaryFolder, text } from "./support.ts";

const OTHER_KEY = "00112233445566778899aabbccddeeff9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const NO_AGENT = { source: "unlock agent", reason: 'none runs ("lango unlock" starts one)' };
const everyKind = slots("passphrase", "env", "keyring", "master-key-file", "provider", "recovery");

/** A keyring in memory; `locked` makes it unreachable, `broken` makes it fail. */
function keyringWith(
  entries: Partial<Record<KeyringEntry, string>>,
  trouble?: "locked" | "broken",
): KeyringBackend {
  const check = (): void => {
    if (trouble === "locked") throw new CryptoError("ERR_UNAVAILABLE", "the keyring is locked");
    if (trouble === "broken")
      throw new CryptoError("ERR_INTERNAL", "the keyring answered nonsense");
  };
  return {
    name: "test keyring",
    async get(entry) {
      check();
      const value = entries[entry];
      return value === undefined ? undefined : utf8(value);
    },
  };
}

function homeWith(files: Record<string, string>): string {
  const home = temporaryFolder();
  for (const [name, contents] of Object.entries(files)) {
    writeFileSync(join(home, name), contents, { mode: 0o600 });
  }
  return home;
}

describe("the order", () => {
  /** Every source at once; taking the winner away each time shows the whole order. */
  test("is that of the documentation", async () => {
    const credentials = homeWith({ "lango.passphrase": "from systemd" });
    const container = homeWith({ lango_passphrase: "from the container" });
    const home = homeWith({ "master.key": KEY_HEX, passphrase: "from the keyfile" });
    const everything: Partial<UnlockOptions> = {
      env: {
        LANGO_MASTER_KEY: KEY_HEX,
        LANGO_PASSPHRASE: "from the environment",
        CREDENTIALS_DIRECTORY: credentials,
      },
      containerSecrets: container,
      keyring: keyringWith({ "master-key": KEY_HEX, passphrase: "from the keyring" }),
      keyringEnabled: true,
      prompt: async () => utf8("from the prompt"),
    };
    const without: { take: Partial<UnlockOptions>; kinds?: SlotKind[]; home?: string }[] = [
      { take: {} },
      { take: { env: { ...everything.env, LANGO_MASTER_KEY: "" } } },
      { take: {}, kinds: ["master-key-file", "passphrase"] },
      { take: {}, kinds: ["passphrase"] },
      { take: { keyringEnabled: false }, kinds: ["passphrase"] },
      { take: { keyringEnabled: false }, kinds: ["passphrase"], home: homeWith({}) },
      {
        take: { keyringEnabled: false, env: { CREDENTIALS_DIRECTORY: credentials } },
        home: homeWith({}),
      },
      { take: { keyringEnabled: false, env: {} }, home: homeWith({}), kinds: ["passphrase"] },
      {
        take: { keyringEnabled: false, env: {}, containerSecrets: homeWith({}) },
        home: homeWith({}),
        kinds: ["passphrase"],
      },
    ];
    const most: SlotKind[] = ["env", "keyring", "passphrase"];
    const seen: string[] = [];
    for (const { take, kinds = most, home: at = home } of without) {
      const keyring =
        kinds.includes("keyring") && take.keyringEnabled === false ? undefined : everything.keyring;
      const unlocker = createUnlocker(options(at, { ...everything, keyring, ...take }));
      const { credential } = await unlocker.obtain(slots(...kinds));
      seen.push(`${credential.kind}: ${credential.source}`);
    }
    expect(seen).toEqual([
      "env: LANGO_MASTER_KEY",
      "keyring: keyring (master key)",
      `master-key-file: master key file ${home}/master.key`,
      "passphrase: keyring (passphrase)",
      `passphrase: keyfile ${home}/passphrase`,
      "passphrase: LANGO_PASSPHRASE",
      `passphrase: credential ${credentials}/lango.passphrase`,
      `passphrase: container secret ${container}/lango_passphrase`,
      "passphrase: prompt",
    ]);
  });

  test("lists the sources before the one that was used, each with its reason", async () => {
    const home = homeWith({ passphrase: "correct horse" });
    const { credential, skipped } = await createUnlocker(options(home)).obtain(
      slots("env", "passphrase", "passphrase"),
    );
    expect(credential.slotIds).toEqual(["slot-1", "slot-2"]);
    expect(skipped).toEqual([
      NO_AGENT,
      { source: "LANGO_MASTER_KEY", reason: "not set" },
      { source: "ENCRYPTION_KEY", reason: "the vault has no ENCRYPTION_KEY slot" },
      { source: "keyring (master key)", reason: "the vault has no keyring slot" },
      {
        source: `master key file ${home}/master.key`,
        reason: "the vault has no master-key-file slot",
      },
      { source: "provider slot", reason: "the vault has no provider slot" },
      { source: "keyring (passphrase)", reason: "security.keyring.enabled is false" },
    ]);
  });

  test("a flag excludes the others", async () => {
    const home = homeWith({ passphrase: "from the keyfile", mine: "from the flag" });
    const passphraseFile = join(home, "mine");
    const { credential, skipped } = await createUnlocker(
      options(home, { env: { LANGO_MASTER_KEY: KEY_HEX }, passphraseFile }),
    ).obtain(everyKind);
    expect(text(credential.secret)).toBe("from the flag");
    expect(skipped).toEqual([]);
  });
});

describe("nothing found", () => {
  test("is ERR_LOCKED, and the hint lists every source with its reason", async () => {
    const home = temporaryFolder();
    const { code, hint } = await failureOf(createUnlocker(options(home)).obtain(everyKind));
    expect(code).toBe("ERR_LOCKED");
    expect(hint).toBe(
      [
        `Looked into ${NO_AGENT.source}: ${NO_AGENT.reason}`,
        "LANGO_MASTER_KEY: not set",
        "ENCRYPTION_KEY: the vault has no ENCRYPTION_KEY slot",
        "keyring (master key): no keyring backend in this version",
        `master key file ${home}/master.key: does not exist`,
        "provider slot pkcs11:one: no provider pkcs11 is configured",
        "keyring (passphrase): security.keyring.enabled is false",
        `keyfile ${home}/passphrase: does not exist`,
        "LANGO_PASSPHRASE: not set",
        "credential lango.passphrase: CREDENTIALS_DIRECTORY is not set",
        `container secret ${home}/run-secrets/lango_passphrase: does not exist`,
        "prompt: there is no terminal to ask on",
        "stdin: the command reads its input from it",
        "recovery words: asked for only with --unlock-with recovery",
      ].join("; "),
    );
  });
  test("also when a flag has no slot to open", async () => {
    const home = homeWith({ mine: "correct horse" });
    const unlocker = createUnlocker(options(home, { passphraseFile: join(home, "mine") }));
    expect(await failureOf(unlocker.obtain(slots("env")))).toMatchObject({
      code: "ERR_LOCKED",
      hint: `Looked into --passphrase-file ${home}/mine: the vault has no passphrase slot`,
    });
  });
  test("a person who gives up at the prompt", async () => {
    const prompt = async () => undefined;
    const failure = await failureOf(
      createUnlocker(options(temporaryFolder(), { prompt })).obtain(slots("passphrase")),
    );
    expect(failure.hint).toContain("prompt: nothing was entered");
  });
});

describe("flags", () => {
  test("two at once are a usage error that names both", async () => {
    const unlocker = createUnlocker(
      options(temporaryFolder(), { passphraseFd: 3, masterKeyFd: 4 }),
    );
    expect(await failureOf(unlocker.obtain(everyKind))).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: "--passphrase-fd 3 and --master-key-fd 4 cannot be given together",
    });
  });
  test("--unlock-with passes over the others", async () => {
    const home = homeWith({ "master.key": KEY_HEX });
    const { credential, skipped } = await createUnlocker(
      options(home, { env: { LANGO_MASTER_KEY: OTHER_KEY }, unlockWith: "master-key-file" }),
    ).obtain(everyKind);
    expect(credential.kind).toBe("master-key-file");
    expect(skipped[1]).toEqual({
      source: "LANGO_MASTER_KEY",
      reason: "--unlock-with master-key-file passes over it",
    });
  });
  test("what --unlock-with passes over does not bury the reason that counts", async () => {
    const unlocker = createUnlocker(options(temporaryFolder(), { unlockWith: "recovery" }));
    const { hint } = await failureOf(unlocker.obtain(slots("passphrase")));
    expect(hint).toBe("Looked into recovery words: the vault has no recovery slot");
  });
  test("a flag that --unlock-with rules out is a usage error", async () => {
    const unlocker = createUnlocker(
      options(temporaryFolder(), { passphraseFd: 3, unlockWith: "env" }),
    );
    expect((await failureOf(unlocker.obtain(everyKind))).code).toBe("ERR_INVALID_ARGUMENT");
  });
  test("skipAmbient takes only what was given to this command", async () => {
    const home = homeWith({ passphrase: "from the keyfile", "master.key": KEY_HEX });
    const { credential } = await createUnlocker(
      options(home, { skipAmbient: true, env: { LANGO_PASSPHRASE: "given" } }),
    ).obtain(everyKind);
    expect(credential).toMatchObject({ source: "LANGO_PASSPHRASE", ambient: false });
  });
});

describe("variables", () => {
  const obtain = (env: Record<string, string>, kind: SlotKind = "env", home = temporaryFolder()) =>
    createUnlocker(options(home, { env })).obtain(slots(kind));

  test.each(["LANGO_MASTER_KEY", "AUTHSOME_MASTER_KEY"])("%s holds a key", async (name) => {
    const { credential } = await obtain({ [name]: KEY_HEX });
    expect(credential).toMatchObject({ source: name, kind: "env", ambient: false });
    expect(Buffer.from(credential.secret).toString("hex")).toBe(KEY_HEX);
  });
  test.each(["LANGO_MASTER_KEY_FILE", "AUTHSOME_MASTER_KEY_FILE"])(
    "%s names its file",
    async (name) => {
      const home = homeWith({ key: `${KEY_HEX}\n` });
      const { credential } = await obtain({ [name]: join(home, "key") });
      expect(credential).toMatchObject({ source: name, ambient: true });
    },
  );
  test("both names with one key, however it is written, are one source", async () => {
    const base64 = Buffer.from(KEY_HEX, "hex").toString("base64");
    const { credential } = await obtain({ LANGO_MASTER_KEY: KEY_HEX, AUTHSOME_MASTER_KEY: base64 });
    expect(credential.source).toBe("LANGO_MASTER_KEY");
  });
  test("two that differ are an error naming both", async () => {
    const failure = await failureOf(
      obtain({ LANGO_MASTER_KEY: KEY_HEX, AUTHSOME_MASTER_KEY: OTHER_KEY }),
    );
    expect(failure).toMatchObject({
      code: "ERR_CONFIG",
      message: "LANGO_MASTER_KEY and AUTHSOME_MASTER_KEY are both set and differ",
    });
  });
  test("a passphrase and its file may agree but for the newline", async () => {
    const home = homeWith({ pass: "correct horse\n", other: "battery staple" });
    const env = { LANGO_PASSPHRASE: "correct horse", LANGO_PASSPHRASE_FILE: join(home, "pass") };
    expect((await obtain(env, "passphrase")).credential.source).toBe("LANGO_PASSPHRASE");
    const differing = { ...env, LANGO_PASSPHRASE_FILE: join(home, "other") };
    expect((await failureOf(obtain(differing, "passphrase"))).message).toBe(
      "LANGO_PASSPHRASE and LANGO_PASSPHRASE_FILE are both set and differ",
    );
  });
  test("a file that a variable names must exist; the default keyfile need not", async () => {
    const none = join(temporaryFolder(), "none");
    const home = temporaryFolder();
    expect((await failureOf(obtain({ LANGO_PASSPHRASE_FILE: none }, "passphrase"))).code).toBe(
      "ERR_CONFIG",
    );
    expect(await failureOf(obtain({ LANGO_KEYFILE: none }, "passphrase"))).toMatchObject({
      code: "ERR_CONFIG",
      message: `LANGO_KEYFILE names ${none}, which does not exist`,
    });
    expect((await failureOf(obtain({}, "passphrase", home))).hint).toContain(
      `keyfile ${join(home, "passphrase")}: does not exist`,
    );
  });
  test("LANGO_KEYFILE moves the keyfile", async () => {
    const elsewhere = join(homeWith({ pass: "elsewhere" }), "pass");
    const { credential } = await obtain(
      { LANGO_KEYFILE: elsewhere },
      "passphrase",
      homeWith({ passphrase: "in the home" }),
    );
    expect(text(credential.secret)).toBe("elsewhere");
  });
  test("a passphrase whose bytes Node could not decode is refused", async () => {
    expect((await failureOf(obtain({ LANGO_PASSPHRASE: "caf\uFFFD" }, "passphrase"))).message).toBe(
      "LANGO_PASSPHRASE is not valid UTF-8",
    );
  });
  test("a bad key ends the search and is not shown", async () => {
    const env = { LANGO_MASTER_KEY: "hunter2hunter2", LANGO_PASSPHRASE: "correct horse" };
    const unlocker = createUnlocker(options(temporaryFolder(), { env }));
    const failure = await failureOf(unlocker.obtain(everyKind));
    expect(failure.code).toBe("ERR_CONFIG");
    expect(failure.message).toMatch(/^LANGO_MASTER_KEY is not .*found 14 characters/);
    expect(JSON.stringify(failure)).not.toContain("hunter2");
  });
});

describe("the keyring", () => {
  const obtain = (keyring: KeyringBackend, kind: SlotKind) =>
    createUnlocker(
      options(homeWith({ passphrase: "from the keyfile" }), { keyring, keyringEnabled: true }),
    ).obtain(slots(kind, "passphrase"));

  test("that is locked is skipped with its reason", async () => {
    const { credential, skipped } = await obtain(keyringWith({}, "locked"), "keyring");
    expect(credential.source).toContain("keyfile");
    expect(skipped.filter(({ source }) => source.startsWith("keyring"))).toEqual([
      { source: "keyring (master key)", reason: "the keyring is locked" },
      { source: "keyring (passphrase)", reason: "the keyring is locked" },
    ]);
  });
  test("that fails otherwise is an error", async () => {
    expect((await failureOf(obtain(keyringWith({}, "broken"), "keyring"))).code).toBe(
      "ERR_INTERNAL",
    );
  });
  test("with a bad master key is an error naming it", async () => {
    const failure = await failureOf(obtain(keyringWith({ "master-key": "hunter2" }), "keyring"));
    expect(failure.message).toMatch(/^keyring \(master key\) is not 64 hexadecimal/);
  });
  test("without an entry is skipped", async () => {
    const { skipped } = await obtain(keyringWith({}), "keyring");
    expect(skipped).toContainEqual({
      source: "keyring (master key)",
      reason: "the keyring holds no entry of Lango",
    });
  });
});

describe("a passphrase that was wrong", () => {
  test("is asked for again where a person typed it, and nowhere else", async () => {
    const asked: [label: string, isAgain: boolean | undefined][] = [];
    const prompt = async (label: string, isAgain?: boolean) => {
      asked.push([label, isAgain]);
      return utf8(`answer ${asked.length}`);
    };
    const slots = [{ id: "1", kind: "passphrase" as const }];
    const typed = await createUnlocker(options(temporaryFolder(), { prompt })).obtain(slots);
    expect(text((await typed.credential.again?.())!)).toBe("answer 2");
    expect(asked).toEqual([
      ["Enter encryption passphrase: ", undefined],
      ["Wrong passphrase, try again: ", true],
    ]);
    const env = { LANGO_PASSPHRASE: "given" };
    const given = await createUnlocker(options(temporaryFolder(), { prompt, env })).obtain(slots);
    expect(given.credential.again).toBeUndefined();
  });
});

describe("a new passphrase", () => {
  /** A prompt that answers in turn and remembers what it was asked. */
  function prompting(...answers: (string | undefined)[]) {
    const labels: string[] = [];
    const prompt = async (label: string) => {
      labels.push(label);
      const answer = answers[labels.length - 1];
      return answer === undefined ? undefined : utf8(answer);
    };
    return { labels, prompt };
  }

  const check = (passphrase: Uint8Array): void => {
    if (passphrase.length < 8) throw new CryptoError("ERR_INVALID_ARGUMENT", "too short");
  };

  test("is asked twice", async () => {
    const { labels, prompt } = prompting("correct horse", "correct horse");
    const result = await createUnlocker(
      options(temporaryFolder(), { prompt }),
    ).obtainNewPassphrase();
    expect(text(result.passphrase)).toBe("correct horse");
    expect(result).toMatchObject({ source: "prompt", ambient: false });
    expect(labels).toEqual([
      "Enter encryption passphrase (min 8 characters): ",
      "Confirm passphrase: ",
    ]);
  });
  test("is asked again when it is too short, at once, or when the entries differ", async () => {
    const { labels, prompt } = prompting(
      ...["short", "correct horse", "correct hearse", "correct horse", "correct horse"],
    );
    const unlocker = createUnlocker(options(temporaryFolder(), { prompt }));
    expect(text((await unlocker.obtainNewPassphrase({ check })).passphrase)).toBe("correct horse");
    const enter = "Enter encryption passphrase (min 8 characters): ";
    expect(labels).toEqual([
      enter,
      `too short\n${enter}`,
      "Confirm passphrase: ",
      `The two passphrases differ\n${enter}`,
      "Confirm passphrase: ",
    ]);
  });
  test("is refused when the third attempt fails too", async () => {
    const { prompt } = prompting("short", "shorter", "correct horse", "correct hearse");
    const failure = await failureOf(
      createUnlocker(options(temporaryFolder(), { prompt })).obtainNewPassphrase({ check }),
    );
    expect(failure).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: "The two passphrases differ",
    });
    expect(JSON.stringify(failure)).not.toContain("correct h");
  });
  test("is none when the person gives up at the second question", async () => {
    const { prompt } = prompting("correct horse", undefined);
    const unlocker = createUnlocker(options(temporaryFolder(), { prompt }));
    expect((await failureOf(unlocker.obtainNewPassphrase())).code).toBe("ERR_LOCKED");
  });
  test("comes from the passphrase sources, never from a master key", async () => {
    const env = { LANGO_MASTER_KEY: KEY_HEX, LANGO_PASSPHRASE: "correct horse" };
    const unlocker = createUnlocker(options(temporaryFolder(), { env, masterKeyFd: 9 }));
    expect(await unlocker.obtainNewPassphrase()).toMatchObject({ source: "LANGO_PASSPHRASE" });
  });
  test("that replaces another comes from a flag or the prompt alone", async () => {
    const home = homeWith({ passphrase: "the old one", new: "the new one" });
    const env = { LANGO_PASSPHRASE: "the old one" };
    const { labels, prompt } = prompting("asked twice", "asked twice");
    const asked = createUnlocker(options(home, { env, prompt }));
    expect(text((await asked.obtainNewPassphrase({ replacing: true })).passphrase)).toBe(
      "asked twice",
    );
    expect(labels[0]).toBe("Enter new encryption passphrase (min 8 characters): ");
    const given = createUnlocker(options(home, { env, prompt, passphraseFile: join(home, "new") }));
    expect(text((await given.obtainNewPassphrase({ replacing: true })).passphrase)).toBe(
      "the new one",
    );
    const neither = createUnlocker(options(home, { env }));
    expect((await failureOf(neither.obtainNewPassphrase({ replacing: true }))).code).toBe(
      "ERR_LOCKED",
    );
  });
});

describe("describe", () => {
  const forbidden = async (): Promise<never> => {
    throw new Error("describe asked");
  };

  test("says what obtain would do, up to the source that it would use", async () => {
    const home = homeWith({ passphrase: "correct horse" });
    const unlocker = createUnlocker(options(home, { prompt: forbidden }));
    const { credential, skipped } = await unlocker.obtain(everyKind);
    expect(await unlocker.describe(everyKind)).toEqual([
      ...skipped.map((line) => ({ ...line, state: "skipped" })),
      { source: credential.source, state: "would use" },
    ]);
  });
  test("asks the keyring, which alone knows whether it is locked, and prompts for nothing", async () => {
    const given = { keyringEnabled: true, prompt: forbidden };
    const last = async (keyring: KeyringBackend, kind: SlotKind) =>
      (
        await createUnlocker(options(temporaryFolder(), { ...given, keyring })).describe(
          slots(kind),
        )
      )
        .filter(({ source }) => source.startsWith("keyring"))
        .at(-1);
    const open = keyringWith({ "master-key": KEY_HEX, passphrase: "from the keyring" });
    expect(await last(open, "keyring")).toEqual({
      source: "keyring (master key)",
      state: "would use",
    });
    expect(await last(open, "passphrase")).toMatchObject({ state: "would use" });
    expect(await last(keyringWith({}, "locked"), "passphrase")).toMatchObject({
      state: "skipped",
      reason: "the keyring is locked",
    });
    const prompting = createUnlocker(options(temporaryFolder(), { prompt: forbidden }));
    expect((await prompting.describe(slots("passphrase"))).at(-1)).toEqual({
      source: "prompt",
      state: "would use",
    });
  });
  test("does not read the descriptor of a flag, but sees that it is not open", async () => {
    const open = createUnlocker(options(temporaryFolder(), { passphraseFd: 0 }));
    expect(await open.describe(slots("passphrase"))).toEqual([
      { source: "--passphrase-fd 0", state: "would use" },
    ]);
    const shut = createUnlocker(options(temporaryFolder(), { passphraseFd: 999 }));
    expect(await shut.describe(slots("passphrase"))).toEqual([
      {
        source: "--passphrase-fd 999",
        state: "fault",
        reason: "--passphrase-fd 999: file descriptor 999 is not open",
      },
    ]);
  });
  test("shows the fault at which obtain would fail", async () => {
    const home = homeWith({ "master.key": "hunter2" });
    const lines = await createUnlocker(options(home)).describe(everyKind);
    expect(lines.at(-1)).toMatchObject({
      state: "fault",
      reason: expect.stringContaining("found 7 characters (digits, letters)"),
    });
    expect(JSON.stringify(lines)).not.toContain("hunter2");
  });
});
