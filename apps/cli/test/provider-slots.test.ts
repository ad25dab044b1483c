import { createRequire } from "node:module";
import { join } from "node:path";
import { createAwsKmsProvider } from "@lango/crypto-aws-kms";
import { createPkcs11Provider } from "@lango/crypto-pkcs11";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  makeSoftHsm,
  PIN,
  type SoftHsm,
  withToken,
} from "../../../packages/crypto-pkcs11/test/support/softhsm.ts";
import { type Server, startServer } from "../../../tooling/services/server.ts";
import { withService } from "../../../tooling/vitest/require-service.ts";
import { paired, serve } from "./companion-support.ts";
import { configure, type Door, good, line, openDoor } from "./provider-support.ts";
import {
  expectOneFault,
  fileWith,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  vaultHome,
} from "./support.ts";

const Sqlite = createRequire(import.meta.url)("better-sqlite3-multiple-ciphers");
const LOCKED = { LANGO_PASSPHRASE: undefined };
const VERIFY = ["audit", "verify"];
const REVEAL = ["security", "secrets", "get", "api/key", "--reveal"];
const ADD = ["security", "slots", "add", "--kind", "provider"];

interface Slot {
  readonly id: string;
  readonly kind: string;
  readonly uri?: string;
}
const slotsOf = async (home: string): Promise<Slot[]> =>
  (await langoJson(["security", "slots", "list"], { home })).document.data.slots;

/** What `whoami` says of the provider slots. */
const lineOf = async (home: string, env: object) => {
  const { document } = await langoJson(["whoami"], { home, env: { ...env, ...LOCKED } });
  return document.data.sources.find(({ source }: { source: string }) =>
    source.startsWith("provider slot"),
  );
};

withToken("softhsm2", () => {
  let hsm: SoftHsm;
  beforeAll(async () => {
    hsm = makeSoftHsm(["lango"]);
    const { modulePath, env, pin } = hsm;
    const provider = await createPkcs11Provider({ modulePath, env, pin, token: { slotId: 0 } });
    for (const keyId of ["vault", "other"]) {
      await provider.createKey!({ keyId, algorithm: "aes-256-gcm", usage: "encryption" });
    }
    await provider.createKey!({ keyId: "signs", algorithm: "ecdsa-p256", usage: "signing" });
    await provider.close();
  }, 60_000);
  afterAll(() => hsm?.remove());

  /** The token is configured, and the keys of the vault stay local. */
  const security = (more: object = {}) => ({
    kms: { pkcs11: { modulePath: hsm.modulePath, slotId: 0 } },
    ...more,
  });
  const env = (more: object = {}) => ({ ...hsm.env, LANGO_PKCS11_PIN: PIN, ...more });

  test("a token opens the vault; alone, the vault is rooted in it, and it cannot go", async () => {
    const home = await vaultHome();
    configure(home, security());
    const { document, code, stderr } = await langoJson([...ADD, "--uri", "pkcs11:vault"], {
      home,
      env: env(),
    });
    expect(code, stderr).toBe(0);
    const { id, uri } = document.data.slot;
    expect(uri).toMatch(/^pkcs11:token=lango;serial=[0-9a-f]+;object=vault;.*type=secret-key$/);
    const options = { home, env: env(LOCKED) };
    expect(await lineOf(home, env())).toEqual({
      source: `provider slot ${uri}`,
      state: "would use",
    });
    const verified = await langoJson(["--verbose", ...VERIFY], options);
    expect(verified.code, verified.stderr).toBe(0);
    // A PIN that was given to the command is consent, as a passphrase is.
    expect((await lango(REVEAL, options)).stdout.trim()).toBe(SECRET);
    const status = await good(["security", "status"], options);
    expect(line(status, "rooted in")).toBe("passphrase, provider");
    expect(line(status, "would unlock with")).toBe(`provider slot ${uri}`);

    const [first] = await slotsOf(home);
    const remove = ["security", "slots", "remove", "--yes"];
    expectOneFault(await lango([...remove, id], options), 9, /opened the vault just now/);
    await good([...remove, first?.id ?? ""], options);
    expect(line(await good(["security", "status"], options), "rooted in")).toBe(uri);
    const { document: rooted } = await langoJson(["security", "status"], options);
    expect(rooted.data.rootedIn).toBe(uri);
    expectOneFault(await lango([...remove, id], options), 9, /the last one/);
    expect((await lango(REVEAL, { home, env: env() })).stdout.trim()).toBe(SECRET);
    // A passphrase beside it, and it is rooted there no more.
    const kdf = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
    const passphrase = ["--new-passphrase-file", fileWith(PASSPHRASE)];
    await good(
      ["security", "slots", "add", "--kind", "passphrase", ...passphrase, ...kdf],
      options,
    );
    expect((await langoJson(["security", "status"], options)).document.data.rootedIn).toBe(null);
  }, 120_000);

  test("without a PIN, with a wrong one, without the token or its settings it is skipped, with the reason", async () => {
    const home = await vaultHome();
    configure(home, security());
    await good([...ADD, "--uri", "pkcs11:vault"], { home, env: env() });
    const reasons: readonly (readonly [object, Record<string, string | undefined>, RegExp])[] = [
      [security(), env({ LANGO_PKCS11_PIN: undefined }), /wants a PIN/],
      [security(), env({ LANGO_PKCS11_PIN: "99887766" }), /refused the PIN/],
      [
        security({ kms: { pkcs11: { modulePath: "/none.so" } } }),
        env(),
        /no PKCS#11 module at security\.kms\.pkcs11\.modulePath/,
      ],
      [{}, env(), /no provider pkcs11 is configured/],
    ];
    for (const [settings, given, reason] of reasons) {
      configure(home, settings);
      const opened = await lango(["--verbose", ...VERIFY], { home, env: given });
      expect(opened.code, opened.stderr).toBe(0);
      expect(opened.stderr).toMatch(/unlocked by LANGO_PASSPHRASE/);
      expect(opened.stderr).toMatch(reason);
      expect(opened.stderr).not.toContain("99887766");
      const only = await lango([...VERIFY, "--unlock-with", "provider"], { home, env: given });
      expectOneFault(only, 4, /No source gave/);
      expect(only.stderr).toMatch(reason);
    }
    // A PIN in a file is there for every process of the user.
    configure(home, security());
    const file = { ...hsm.env, LANGO_PKCS11_PIN_FILE: fileWith(`${PIN}\n`), ...LOCKED };
    expect((await lango(VERIFY, { home, env: file })).code).toBe(0);
    expectOneFault(await lango(REVEAL, { home, env: file }), 5, /provider slot .*every process/);
  }, 120_000);

  test("a key that cannot wrap, is not there, or is of nobody configured adds no slot", async () => {
    const home = await vaultHome();
    configure(home, security());
    const options = { home, env: env() };
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [["--uri", "pkcs11:signs"], 2, /signing/],
      [["--uri", "pkcs11:none"], 3, /none/],
      [["--uri", "aws-kms:alias/none"], 3, /No provider aws-kms is configured/],
      [["--uri", "no uri"], 2, /Key URI/],
      [[], 2, /security\.kms|security\.signer|no provider/i],
    ];
    for (const [words, code, message] of cases) {
      const ran = await lango([...ADD, ...words], options);
      expect([code, 3, 78], `${words.join(" ")}: ${ran.stderr}`).toContain(ran.code);
      expect(ran.stderr).toMatch(message);
    }
    const other = ["security", "slots", "add", "--kind", "env", "--key-fd", "0"];
    expectOneFault(await lango([...other, "--uri", "pkcs11:vault"], options), 2, /--uri is for/);
    expect(await slotsOf(home)).toHaveLength(1);
  }, 120_000);
});

withService("moto", (program) => {
  const CREDENTIALS = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
  let server: Server;
  let door: Door;
  let key: string;
  beforeAll(async () => {
    server = await startServer({
      program,
      args: (port) => ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
    });
    door = await openDoor(server.port);
    const provider = createAwsKmsProvider({
      ...{ region: "us-east-1", endpoint: server.url },
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
    });
    const made = { algorithm: "aes-256-gcm", usage: "encryption", keyId: "lango" } as const;
    key = (await provider.createKey(made)).keyId;
    await provider.close();
  }, 60_000);
  afterAll(() => server?.stop());

  test("a key of AWS opens the vault; while it cannot be reached the passphrase does", async () => {
    const home = await vaultHome();
    configure(home, {
      signer: { provider: "aws-kms" },
      kms: {
        ...{ region: "us-east-1", keyId: "alias/lango", endpoint: door.url },
        ...{ timeoutPerOperation: "5s", maxRetries: 0, fallbackToLocal: true },
      },
    });
    // The key of the settings; the alias is resolved.
    const { document } = await langoJson(ADD, { home, env: CREDENTIALS });
    expect(document.data.slot.uri).toBe(`aws-kms:${key}`);
    const locked = { home, env: { ...CREDENTIALS, ...LOCKED } };
    expect((await lango(VERIFY, locked)).code).toBe(0);
    expectOneFault(await lango(REVEAL, locked), 5, /provider slot aws-kms:.*every process/);
    await door.close();
    try {
      // It falls back to nothing: a slot is of one key.
      expectOneFault(await lango([...VERIFY, "--no-input"], locked), 4, /nothing gave/);
      const opened = await lango(["--verbose", ...VERIFY], { home, env: CREDENTIALS });
      expect(opened.code, opened.stderr).toBe(0);
      expect(opened.stderr).toMatch(/not by provider slot aws-kms:.*AWS KMS/);
    } finally {
      await door.open();
    }
  }, 120_000);
});

describe("a companion", () => {
  test("opens the vault where its owner allows it; a device that the vault does not know is found out", async () => {
    const { agent: home, companion, served } = await paired(["--allow", "unwrapKey=data"]);
    const { document, code, stderr } = await langoJson(ADD, { home });
    expect(code, stderr + served.output()).toBe(0);
    expect(document.data.slot.uri).toBe("rpc:data");
    const opened = await lango(VERIFY, { home, env: LOCKED });
    expect(opened.code, opened.stderr + served.output()).toBe(0);
    // It may have answered by itself: that is nobody's consent.
    expectOneFault(await lango(REVEAL, { home, env: LOCKED }), 5, /provider slot rpc:data/);
    // Its pin is checked as soon as there is a key to check it with.
    const database = new Sqlite(join(home, "lango.db"));
    database.prepare("UPDATE companions SET name = 'evil'").run();
    database.close();
    expectOneFault(await lango(VERIFY, { home, env: LOCKED }), 8, /companions|device/);
    await served.stop();
    const away = await lango(["--verbose", ...VERIFY], { home });
    expect(away.stderr).toMatch(/not by provider slot rpc:data/);
    expect(away.stderr).toMatch(/unlocked by LANGO_PASSPHRASE/);
    // What the person at the companion refuses is passed over as well.
    const strict = await serve(companion);
    await good(["settings", "set", "security.signer.rpcUrl", strict.url], { home });
    const refused = await lango([...VERIFY, "--unlock-with", "provider"], { home, env: LOCKED });
    expect(refused.code, refused.stderr).toBe(4);
    expect(strict.output()).toMatch(/unwrapKey, ERR_DENIED/);
  }, 120_000);
});
