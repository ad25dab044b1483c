import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGcpKmsProvider } from "@lango/crypto-gcp-kms";
import { createUnlocker } from "@lango/unlock";
import { openVault } from "@lango/vault";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Cloud, startAzure, startGcp } from "./cloud-support.ts";
import { configure, good, line } from "./provider-support.ts";
import { editSlot } from "./slot-edits.ts";
import { expectOneFault, lango, langoJson, SECRET, snapshot, vaultHome } from "./support.ts";

// Cloud and provider are both ours; the SDK between them, the settings and the command are the real ones. What this cannot
// show is how the services themselves behave.
const ADD = ["security", "slots", "add", "--kind", "provider", "--uri"];
const REMOVE = ["security", "slots", "remove", "--yes"];
const MIGRATE = ["security", "provider", "migrate", "--yes", "--to"];
const VERIFY = ["audit", "verify"];
const REVEAL = ["security", "secrets", "get", "api/key", "--reveal"];
/** Shows that a secret can be read where no value may be shown. */
const USE = ["run", "--env", "T=api/key", "--", "sh", "-c", `test "$T" = '${SECRET}'`];
const BY_PROVIDER = ["--unlock-with", "provider"];

describe.each([
  // A version that was destroyed is still there, and says so.
  ["Google Cloud KMS", () => startGcp(), { opens: /No source gave/, exit: 5 }],
  ["Azure Key Vault", startAzure, { opens: /does not unwrap/, exit: 8 }],
] as const)("%s", (_, start, lost) => {
  let folder: string;
  let cloud: Cloud;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lango-cloud-"));
    cloud = await start(folder);
  });
  afterEach(() => cloud.calm());
  afterAll(async () => {
    await cloud?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A vault with a slot of a new key. */
  interface Made {
    readonly home: string;
    readonly uri: string;
    readonly slotId: string;
    /** With the passphrase, and without. */
    readonly open: { home: string; env: Record<string, string> };
    readonly locked: { home: string; env: Record<string, string | undefined> };
  }
  let vault: Made;
  beforeEach(async () => {
    const home = await vaultHome();
    configure(home, cloud.settings());
    const { named, uri } = await cloud.createKey();
    const open = { home, env: { ...cloud.env } };
    const { document, code, stderr } = await langoJson([...ADD, named], open);
    expect(code, stderr).toBe(0);
    expect(document.data.slot.uri).toBe(uri);
    const locked = { home, env: { ...cloud.env, LANGO_PASSPHRASE: undefined } };
    vault = { home, uri, slotId: document.data.slot.id, open, locked };
  });

  test("its key opens the vault, is nobody's consent, and goes by id", async () => {
    const { uri, slotId, open, locked } = vault;
    expect((await lango(USE, locked)).code).toBe(0);
    const status = await good(["security", "status"], locked);
    expect(line(status, "would unlock with")).toBe(`provider slot ${uri}`);
    expectOneFault(await lango(REVEAL, locked), 5, /provider slot .*every process/);
    expectOneFault(await lango([...REMOVE, slotId], locked), 5, /every process/);
    await good([...REMOVE, slotId], open);
    expectOneFault(await lango(USE, locked), 125, /nothing gave its passphrase/);
    const [{ id }] = (await langoJson(["security", "slots", "list"], open)).document.data.slots;
    expectOneFault(await lango([...REMOVE, id], open), 9, /the last one/);
  });

  test("the data keys go under it and back, and the vault opens by it all the while", async () => {
    const { uri, locked } = vault;
    const other = await cloud.createKey();
    for (const [to, is] of [
      [uri, uri],
      [other.named, other.uri],
      ["local:default", "local:default"],
    ] as const) {
      const { document, code, stderr } = await langoJson([...MIGRATE, to], locked);
      expect(code, stderr).toBe(0);
      expect(document.data.key.uri).toBe(is);
      expect((await lango(USE, locked)).code).toBe(0);
    }
    await good([...VERIFY, "--rows"], locked);
  });

  test("while it is away the next source opens the vault, and its data keys are exit 7", async () => {
    const { uri, open, locked } = vault;
    await good([...MIGRATE, uri], open);
    await cloud.door.close();
    try {
      expectOneFault(await lango([...VERIFY, ...BY_PROVIDER], locked), 7, /provider slot/);
      expectOneFault(await lango([...VERIFY, "--no-input"], locked), 4, /nothing gave/);
      const next = await lango(["--verbose", ...VERIFY], open);
      expect(next.code, next.stderr).toBe(0);
      expect(next.stderr).toContain(`not by provider slot ${uri}: `);
      expect(next.stderr).toMatch(/unlocked by LANGO_PASSPHRASE/);
      expect((await lango(REVEAL, open)).code).toBe(7);
    } finally {
      await cloud.door.open();
    }
    expect((await lango(USE, locked)).code).toBe(0);
  });

  test("a key that is disabled, or refused to this identity, is passed over; its data keys are exit 5", async () => {
    const { uri, open, locked } = vault;
    await good([...MIGRATE, uri], open);
    for (const harm of [() => cloud.enable(uri, false), () => cloud.deny()]) {
      harm();
      const only = await lango([...VERIFY, ...BY_PROVIDER], locked);
      expectOneFault(only, 4, /No source gave/);
      expect(only.stderr).toContain(`provider slot ${uri}: `);
      expect((await lango(REVEAL, open)).code).toBe(5);
      cloud.calm();
      cloud.enable(uri, true);
    }
    expect((await lango(USE, locked)).code).toBe(0);
  });

  test("a version that is gone opens nothing, and the passphrase still does", async () => {
    const { uri, open, locked } = vault;
    await good([...MIGRATE, uri], open);
    await cloud.loseVersion(uri);
    expectOneFault(await lango([...VERIFY, ...BY_PROVIDER], locked), 4, lost.opens);
    await good([...VERIFY, "--unlock-with", "passphrase"], open);
    expect((await lango([...REVEAL, "--unlock-with", "passphrase"], open)).code).toBe(lost.exit);
  });

  test("another key in the slot, or anything else changed in it, opens nothing and changes nothing", async () => {
    const { home, uri, slotId, open } = vault;
    const other = await cloud.createKey();
    const file = join(home, "keyslots.json");
    const original = readFileSync(file);
    // A key that the wrapped one was never under; what the provider does not see, but the slot is bound to.
    for (const change of [{ uri: other.uri }, { keyVersion: "7" }, { label: "harmless" }]) {
      writeFileSync(file, original);
      editSlot(file, slotId, change);
      const before = files(home);
      const ran = await lango(VERIFY, open);
      expectOneFault(
        ran,
        4,
        new RegExp(`from provider slot ${"uri" in change ? change.uri : uri}`),
      );
      const passphrase = await lango([...VERIFY, "--unlock-with", "passphrase"], open);
      expectOneFault(passphrase, 8, /MAC does not fit/);
      expect(files(home)).toEqual(before);
    }
    // Damage, without a new checksum, is told before any provider is asked.
    writeFileSync(file, original.toString().replace(uri, other.uri));
    expectOneFault(await lango(VERIFY, open), 8, /checksum/);
    writeFileSync(file, original);
    await good(VERIFY, open);
  });
});

test("rooted in a key of Google Cloud alone, the vault opens while it answers, and is exit 7 while not", async () => {
  const cloud = await startGcp();
  const home = await vaultHome();
  configure(home, cloud.settings());
  const { uri } = await cloud.createKey();
  await good([...ADD, uri], { home });
  await good([...MIGRATE, uri], { home });
  // No command gets that far: what opens by such a slot alone is nobody's consent to remove the other.
  const provider = createGcpKmsProvider({ endpoint: cloud.door.url });
  const unlock = createUnlocker({
    ...{ home, env: {}, stdinFree: false, unlockWith: "provider" },
    providerSlots: { ambient: { "gcp-kms": true }, open: async () => provider },
  });
  const opened = await openVault({ home, unlock, providers: { "gcp-kms": provider } });
  const [passphrase] = await opened.slots.list();
  await opened.slots.remove(passphrase?.id ?? "");
  await opened.close();
  await provider.close();
  const locked = { home, env: { LANGO_PASSPHRASE: undefined } };
  expect(line(await good(["security", "status"], locked), "rooted in")).toBe(uri);
  expect((await lango(USE, locked)).code).toBe(0);
  await cloud.door.close();
  expectOneFault(await lango(VERIFY, locked), 7, /provider slot gcp-kms:/);
  await cloud.door.open();
  expect((await lango(USE, locked)).code).toBe(0);
  await cloud.stop();
});

/** All but the notes of failures, and what is shown of providers. */
const files = (home: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(snapshot(home)).filter(([name]) => !/unlock-failures|[/]run[/]/.test(name)),
  );
