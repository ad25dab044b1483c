import { createPublicKey, verify } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { createPkcs11Provider } from "@lango/crypto-pkcs11";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  makeSoftHsm,
  PIN,
  type SoftHsm,
  withToken,
} from "../../../packages/crypto-pkcs11/test/support/softhsm.ts";
import { configure, good, homeWith, line, WEAK } from "./provider-support.ts";
import { expectOneFault, fileWith, lango, langoJson, SECRET, vaultHome } from "./support.ts";

withToken("softhsm2", () => {
  let hsm: SoftHsm;
  let publicKey: Uint8Array;

  beforeAll(async () => {
    hsm = makeSoftHsm(["lango"]);
    const { modulePath, env, pin } = hsm;
    const provider = await createPkcs11Provider({ modulePath, env, pin, token: { slotId: 0 } });
    // One label for a key pair and an AES key, as the seed's configuration has it.
    const keyId = "lango-signing-key";
    await provider.createKey!({ keyId, algorithm: "aes-256-gcm", usage: "encryption" });
    const pair = await provider.createKey!({ keyId, algorithm: "ecdsa-p256", usage: "signing" });
    ({ publicKey } = await provider.getPublicKey!({ keyId: pair.keyId }));
    await provider.close();
  }, 60_000);
  afterAll(() => hsm?.remove());

  /** Seed 000's own block, but for the path. */
  const security = (pkcs11: object = {}) => ({
    signer: { provider: "pkcs11" },
    kms: {
      pkcs11: { modulePath: hsm.modulePath, slotId: 0, keyLabel: "lango-signing-key", ...pkcs11 },
    },
  });
  const env = () => ({ ...hsm.env, LANGO_PKCS11_PIN: PIN });

  test("seed 000's configuration: onboard, set, get, status", async () => {
    const home = homeWith(security());
    const options = { home, env: env() };
    expect(await good(["onboard", ...WEAK], options)).toMatch(
      /its default key is pkcs11:token=lango;serial=[0-9a-f]+;object=lango-signing-key;.*type=secret-key\n$/,
    );
    await good(["security", "secrets", "set", "a"], { ...options, input: SECRET });
    expect(await good(["security", "secrets", "get", "a", "--reveal"], options)).toBe(SECRET);
    const status = await good(["security", "status"], options);
    expect(line(status, "mode")).toBe("pkcs11");
    expect(line(status, "provider key")).toBe("pkcs11:lango-signing-key");
    // The number of a slot is not stable: what was found is said.
    expect(line(status, "token")).toMatch(
      /^"lango", serial [0-9a-f]+, in slot \d+; found by index/,
    );
    const run = ["run", "--env", "T=a", "--", "sh", "-c", 'echo "$T $LANGO_PKCS11_PIN"'];
    expect(await good(run, options)).toBe("[SECRET:a] \n");
    // What was at the token is seen to be by a doctor that is not asked to ask.
    const { document } = await langoJson(["doctor"], options);
    expect(document.data.checks).toContainEqual(
      expect.objectContaining({ check: "provider", ok: true }),
    );
  });

  test("a wrong PIN, and none, are told without the PIN, and nothing falls back", async () => {
    const home = homeWith(security());
    const options = { home, env: env() };
    await good(["onboard", ...WEAK], options);
    await good(["security", "secrets", "set", "a"], { ...options, input: SECRET });
    const wrong = { home, env: { ...env(), LANGO_PKCS11_PIN: "99887766" } };
    const none = { home, env: { ...env(), LANGO_PKCS11_PIN: undefined } };
    for (const [given, message] of [
      [wrong, /refused the PIN/],
      [none, /wants a PIN/],
    ] as const) {
      for (const args of [
        ["security", "secrets", "get", "a", "--reveal"],
        ["security", "secrets", "set", "b"],
      ]) {
        const ran = await lango(args, { ...given, input: "x" });
        expectOneFault(ran, 5, message);
        expect(ran.stderr).not.toContain("99887766");
        if (given === none) expect(ran.stderr).toContain("LANGO_PKCS11_PIN_FILE");
      }
    }
    expect(readFileSync(join(home, "lango.db")).includes("99887766")).toBe(false);
    expect(line(await good(["security", "status"], options), "degraded")).toBe("no");
    const fresh = homeWith(security(), "fresh");
    expectOneFault(await lango(["onboard", ...WEAK], { ...wrong, home: fresh }), 5, /refused/);
    expect(readdirSync(fresh)).toEqual(["config.json"]);
  });

  test("a token without the key: the hint makes it, and a vault can move under a new one", async () => {
    const named = security({ keyLabel: "fresh" });
    const home = homeWith(named);
    const options = { home, env: env() };
    const ran = await lango(["onboard", ...WEAK], options);
    expectOneFault(ran, 3, /cannot be pkcs11:fresh: No key fresh/);
    expect(ran.stderr).toContain('"lango onboard --create-key"');
    expect(readdirSync(home)).toEqual(["config.json"]);
    const onboard = ["onboard", "--create-key", ...WEAK];
    expect(await good(onboard, options)).toMatch(/object=fresh;.*type=secret-key\n$/);
    await good(["security", "secrets", "set", "a"], { ...options, input: SECRET });
    const { document } = await langoJson(["audit", "tail"], options);
    const events: { action: string; target: string }[] = document.data.events;
    expect(events.find(({ action }) => action === "key.create")?.target).toContain("object=fresh");
    // What is there is taken, and nothing is made.
    const again = homeWith(named, "again");
    const second = { home: again, env: env() };
    expect(await good(onboard, second)).toMatch(/object=fresh;.*type=secret-key\n$/);
    const { document: log } = await langoJson(["audit", "tail"], second);
    expect(log.data.events.map(({ action }: { action: string }) => action)).not.toContain(
      "key.create",
    );
    // A key has one name in a vault: the way on is a new key.
    const create = ["keys", "create", "other", "--type", "encryption", "--create"];
    await good([...create, "--provider", "pkcs11:other"], options);
    const migrate = ["security", "provider", "migrate", "--yes", "--to"];
    const taken = await lango([...migrate, "pkcs11:other"], options);
    expectOneFault(taken, 9, /is registered as other already/);
    expect(taken.stderr).toContain("migrate --create");
    expect(await good([...migrate, "pkcs11:third", "--create"], options)).toMatch(
      /^default is now pkcs11:.*object=third;/,
    );
    expect(await good(["security", "secrets", "get", "a", "--reveal"], options)).toBe(SECRET);
  }, 60_000);

  test("a key that only signs is refused with the setting that names another", async () => {
    const home = await vaultHome();
    configure(home, security());
    const uri = "pkcs11:signs-only";
    const make = ["keys", "create", "s", "--type", "signing", "--create", "--provider", uri];
    await good(make, { home, env: env() });
    const fresh = homeWith(security({ keyLabel: "signs-only" }));
    const ran = await lango(["onboard", ...WEAK], { home: fresh, env: env() });
    expectOneFault(ran, 2, /cannot be pkcs11:signs-only: it is for signing/);
    expect(ran.stderr).toContain("security.kms.encryptKeyId");
  });

  test("the PIN may be in a file that nobody else reads", async () => {
    const home = homeWith(security());
    const file = fileWith(`${PIN}\n`);
    const options = { home, env: { ...hsm.env, LANGO_PKCS11_PIN_FILE: file } };
    expect(await good(["onboard", ...WEAK], options)).toContain("its default key is pkcs11:");
    // Any path will do: from the working directory too, and with what is special in addresses.
    const odd = fileWith(`${PIN}\n`, "a pin #1 %41");
    const other = { ...hsm.env, LANGO_PKCS11_PIN_FILE: relative(process.cwd(), odd) };
    await good(["security", "secrets", "set", "a"], { home, env: other, input: SECRET });
  });

  test("sign by a label; OpenSSL's rules verify it", async () => {
    const home = await vaultHome();
    configure(home, security());
    const options = { home, env: env() };
    const sign = ["crypto", "sign", "--key", "pkcs11:lango-signing-key"];
    const signed = await lango(sign, { ...options, input: "message" });
    expect(signed.stderr).toMatch(/^ecdsa-p256-sha256 signature by pkcs11:token=lango;/);
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    const form = { key, dsaEncoding: "ieee-p1363" } as const;
    expect(verify("sha256", Buffer.from("message"), form, signed.bytes)).toBe(true);
    const der = await lango([...sign, "--encoding", "der"], { ...options, input: "message" });
    expect(verify("sha256", Buffer.from("message"), { key }, der.bytes)).toBe(true);
    // Registered, it goes by its name, and its public key is there without the token.
    const uri = "pkcs11:lango-signing-key";
    await good(["keys", "create", "release", "--type", "signing", "--provider", uri], options);
    const pem = await good(["keys", "public-key", "release"], options);
    expect(createPublicKey(pem).equals(key)).toBe(true);
    const { document } = await langoJson(["audit", "tail"], options);
    expect(document.data.events).toContainEqual(
      expect.objectContaining({ action: "key.sign", outcome: "success" }),
    );
  });

  test("check runs the checks on the keys of the token", async () => {
    const check = ["security", "provider", "check", "pkcs11", "--create"];
    const home = homeWith(security());
    const { document, code } = await langoJson(check, { home, env: env() });
    const failed = document.data.checks.filter(
      (each: { outcome: string }) => each.outcome === "failed",
    );
    expect(failed).toEqual([]);
    expect(code).toBe(0);
    const passed = document.data.checks.filter(
      (each: { outcome: string }) => each.outcome === "passed",
    );
    expect(passed.length).toBeGreaterThan(60);
  }, 60_000);

  test.each([
    ["no module", { modulePath: "" }, 78, /security\.kms\.pkcs11\.modulePath is not set/],
    [
      "a module that is not there",
      { modulePath: "/none.so" },
      78,
      /no PKCS#11 module at security\.kms\.pkcs11\.modulePath/,
    ],
    ["no key", { keyLabel: "" }, 78, /security\.kms\.pkcs11\.keyLabel is not set/],
    ["a key that is not there", { keyLabel: "none" }, 3, /No key none/],
    ["a slot that is not there", { slotId: 7 }, 7, /no initialised token in slot 7/],
  ] as const)("%s is named, and nothing is made", async (_, pkcs11, code, message) => {
    const home = homeWith(security(pkcs11));
    expectOneFault(await lango(["onboard", ...WEAK], { home, env: env() }), code, message);
    expect(readdirSync(home)).toEqual(["config.json"]);
  });
});
