import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CircuitStateChange,
  type CryptoErrorCode,
  createComposite,
  createResilientProvider,
  isCryptoError,
} from "@lango/crypto-core";
import { createPkcs11Provider, type Pkcs11Provider } from "@lango/crypto-pkcs11";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { childEnvironment } from "../../src/module-process.ts";
import { createPool } from "../../src/pool.ts";
import { type FaultyHsm, makeFaulty } from "../support/faults.ts";
import { moduleProcesses, onToken } from "../support/native.ts";
import { makeSoftHsm, type SoftHsm, withToken } from "../support/softhsm.ts";

const message = new Uint8Array([1, 2, 3]);
let hsm: SoftHsm;
let faulty: FaultyHsm;
const open: Pkcs11Provider[] = [];

const provide = async (settings = {}): Promise<Required<Pkcs11Provider>> => {
  const provider = await createPkcs11Provider({ ...faulty, maxSessions: 1, ...settings });
  open.push(provider);
  return provider as Required<Pkcs11Provider>;
};
const codeOf = async (call: () => Promise<unknown>): Promise<CryptoErrorCode | "ok"> => {
  try {
    await call();
    return "ok";
  } catch (error) {
    if (isCryptoError(error)) return error.code;
    throw error;
  }
};
const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** As a crash would, and waits until this process knows. */
const endModules = async (): Promise<void> => {
  const pids = moduleProcesses();
  for (const pid of pids) process.kill(pid, "SIGKILL");
  while (pids.some(isRunning)) await sleep(5);
  await sleep(5);
};

withToken("softhsm2", () => {
  let signing: string;
  let aes: string;
  beforeAll(async () => {
    hsm = makeSoftHsm();
    faulty = makeFaulty(hsm);
    const provider = await provide();
    signing = (await provider.createKey({ algorithm: "ecdsa-p256", usage: "signing" })).keyId;
    aes = (await provider.createKey({ algorithm: "aes-256-gcm", usage: "encryption" })).keyId;
  });
  afterEach(async () => {
    faulty.mend();
    await Promise.all(open.splice(0).map((provider) => provider.close()));
  });
  afterAll(() => hsm?.remove());

  // The column of PKCS#11 in the table of error classes: what the raw provider says and how often it asks the module, then
  // the same under the resilience of crypto-core: attempts, circuit, fallback.
  test.each([
    // [class, CKR, code, calls of the raw provider, attempts when resilient, opens the circuit and allows a fallback]
    ["throttled", "CKR_SESSION_COUNT", 0xb1, "ERR_RATE_LIMITED", 1, 4, false],
    ["throttled", "CKR_HOST_MEMORY", 0x02, "ERR_RATE_LIMITED", 1, 4, false],
    ["throttled", "CKR_DEVICE_MEMORY", 0x31, "ERR_RATE_LIMITED", 1, 4, false],
    ["unavailable", "CKR_DEVICE_ERROR", 0x30, "ERR_UNAVAILABLE", 1, 4, true],
    ["unavailable", "CKR_DEVICE_REMOVED", 0x32, "ERR_UNAVAILABLE", 1, 4, true],
    ["unavailable", "CKR_TOKEN_NOT_PRESENT", 0xe0, "ERR_UNAVAILABLE", 1, 4, true],
    ["unavailable", "CKR_FUNCTION_FAILED", 0x06, "ERR_UNAVAILABLE", 1, 4, true],
    ["session lost", "CKR_SESSION_HANDLE_INVALID", 0xb3, "ERR_UNAVAILABLE", 2, 8, true],
    ["session lost", "CKR_SESSION_CLOSED", 0xb0, "ERR_UNAVAILABLE", 2, 8, true],
    ["session lost", "CKR_USER_NOT_LOGGED_IN", 0x101, "ERR_UNAVAILABLE", 2, 8, true],
    ["session lost", "CKR_CRYPTOKI_NOT_INITIALIZED", 0x190, "ERR_UNAVAILABLE", 2, 8, true],
    ["integrity", "CKR_GENERAL_ERROR", 0x05, "ERR_INTERNAL", 1, 1, false],
    ["denied", "CKR_PIN_LOCKED", 0xa4, "ERR_ACCESS_DENIED", 1, 0, false],
    ["key usage", "CKR_KEY_FUNCTION_NOT_PERMITTED", 0x68, "ERR_KEY_USAGE", 1, 1, false],
    ["bad argument", "CKR_MECHANISM_INVALID", 0x70, "ERR_UNSUPPORTED", 1, 1, false],
    ["bad argument", "CKR_DATA_LEN_RANGE", 0x21, "ERR_INVALID_ARGUMENT", 1, 1, false],
  ] as const)("%s: %s", async (_, name, rv, code, rawCalls, attempts, unavailable) => {
    const provider = await provide();
    await provider.encrypt({ keyId: aes, plaintext: message });
    faulty.fault("C_Encrypt", String(rv));
    faulty.calls("C_Encrypt");
    const error = await provider.encrypt({ keyId: aes, plaintext: message }).catch((e) => e);
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(name);
    expect(faulty.calls("C_Encrypt")).toBe(rawCalls);

    const changes: CircuitStateChange[] = [];
    const resilient = createResilientProvider(provider, {
      retry: { baseDelayMs: 1 },
      circuitBreaker: { failureThreshold: 4, onStateChange: (change) => void changes.push(change) },
    });
    const switches: string[] = [];
    const composite = createComposite({
      providers: { pkcs11: resilient, spare: await provide(hsm) },
      fallback: { from: "pkcs11", to: `spare:${aes}` },
      onSwitch: ({ error }) => void switches.push(error.code),
    });
    // Each attempt starts the module's process anew, which takes seconds on a machine that does something else as well.
    const request = { keyId: `pkcs11:${aes}`, plaintext: message, timeoutMs: 60_000 };
    const outcome = await codeOf(() => composite.encrypt(request));
    expect(faulty.calls("C_Encrypt")).toBe(attempts);
    expect([outcome, switches.length]).toEqual(unavailable ? ["ok", 1] : [code, 0]);
    expect(changes.map(({ to }) => to)).toEqual(unavailable ? ["open"] : []);

    // Recovery without a restart, but for a PIN that was refused.
    faulty.mend();
    const after = await codeOf(() => provider.encrypt({ keyId: aes, plaintext: message }));
    expect(after).toBe(code === "ERR_ACCESS_DENIED" ? code : "ok");
  });

  test("key state: CKR_KEY_HANDLE_INVALID after the key was looked for again", async () => {
    const provider = await provide();
    await provider.sign({ keyId: signing, message });
    for (const signer of [provider, createResilientProvider(provider)]) {
      faulty.fault("C_SignInit", "0x60");
      faulty.calls("C_SignInit");
      const call = () => signer.sign!({ keyId: signing, message });
      expect(await codeOf(call)).toBe("ERR_KEY_NOT_FOUND");
      expect(faulty.calls("C_SignInit")).toBe(2);
      // A handle that became stale is no failure.
      faulty.fault("C_SignInit", "0x60", 1);
      expect(await codeOf(call)).toBe("ok");
    }
  });

  test("not found and bad argument of this package are not retried", async () => {
    const provider = createResilientProvider(await provide());
    faulty.calls("C_SignInit");
    expect(await codeOf(() => provider.sign!({ keyId: "nobody", message }))).toBe(
      "ERR_KEY_NOT_FOUND",
    );
    expect(faulty.calls("C_SignInit")).toBe(0);
  });

  test("a token that is deleted and made anew under a live session", async () => {
    const other = makeSoftHsm(["gone"]);
    const provider = await provide({ ...other });
    const { keyId } = await provider.createKey({
      keyId: "k",
      algorithm: "aes-256-gcm",
      usage: "encryption",
    });
    other.util("--delete-token", "--token", "gone");
    const seen = await codeOf(() => provider.encrypt({ keyId, plaintext: message }));
    expect(["ERR_UNAVAILABLE", "ERR_KEY_NOT_FOUND"]).toContain(seen);
    other.addToken("gone");
    // Its keys are gone for good, and it has another serial number: the old id is not found, a new key works.
    const made = async (): Promise<string> =>
      codeOf(() =>
        provider.createKey({ keyId: "k", algorithm: "aes-256-gcm", usage: "encryption" }),
      );
    if ((await made()) !== "ok") expect(await made()).toBe("ok");
    expect(await codeOf(() => provider.encrypt({ keyId: "k", plaintext: message }))).toBe("ok");
    expect(await codeOf(() => provider.encrypt({ keyId, plaintext: message }))).toBe(
      "ERR_KEY_NOT_FOUND",
    );
    other.remove();
  });

  test("the folder of the token away for a while", async () => {
    const other = makeSoftHsm();
    const provider = await provide({ ...other });
    const { keyId } = await provider.createKey({ algorithm: "aes-256-gcm", usage: "encryption" });
    await provider.close();
    renameSync(other.tokens, `${other.tokens}.away`);
    mkdirSync(other.tokens);
    // A provider can be made all the same; only its calls fail.
    const later = await provide({ ...other });
    const call = () => later.encrypt({ keyId, plaintext: message });
    expect(await codeOf(call)).toBe("ERR_UNAVAILABLE");
    expect(await later.health({})).toMatchObject({ healthy: false });
    rmSync(other.tokens, { recursive: true });
    renameSync(`${other.tokens}.away`, other.tokens);
    expect(await codeOf(call)).toBe("ok");
    expect(await later.health({ keyId })).toMatchObject({ healthy: true });
    other.remove();
  });

  test.each([
    ["CKR_GENERAL_ERROR", 0x05],
    ["CKR_ENCRYPTED_DATA_INVALID", 0x40],
    ["CKR_ENCRYPTED_DATA_LEN_RANGE", 0x41],
    ["CKR_AEAD_DECRYPT_FAILED", 0x42],
  ] as const)("bad ciphertext: %s on decrypt", async (_, rv) => {
    const provider = await provide();
    const { ciphertext } = await provider.encrypt({ keyId: aes, plaintext: message });
    faulty.fault("C_Decrypt", String(rv));
    faulty.calls("C_Decrypt");
    const call = () => provider.decrypt({ keyId: aes, ciphertext });
    await expect(call()).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    expect(faulty.calls("C_Decrypt")).toBe(1);
  });

  test("CKR_GENERAL_ERROR on decrypt with a dead session is no bad ciphertext", async () => {
    const provider = await provide();
    const { ciphertext } = await provider.encrypt({ keyId: aes, plaintext: message });
    // The first rule is for the call itself: only one can be set, so SoftHSM has to give the error by itself.
    faulty.fault("C_GetSessionInfo", "0x32");
    const altered = ciphertext.slice();
    altered[20]! ^= 1;
    const call = () => provider.decrypt({ keyId: aes, ciphertext: altered });
    await expect(call()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    faulty.mend();
    await expect(call()).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
  });

  test("a session that is lost once is opened anew with one login, and the calls in flight succeed", async () => {
    const provider = await provide();
    await provider.sign({ keyId: signing, message });
    faulty.calls("C_Login");
    faulty.fault("C_SignInit", "0xb3", 20);
    const calls = Array.from({ length: 20 }, () => provider.sign({ keyId: signing, message }));
    await Promise.all(calls);
    expect(faulty.calls("C_Login")).toBe(1);
  });

  test("a key is not created twice when the session is lost", async () => {
    const provider = await provide();
    await provider.random({ bytes: 1 });
    faulty.fault("C_GenerateKey", "0xb3");
    faulty.calls("C_GenerateKey");
    const call = () =>
      createResilientProvider(provider).createKey!({
        algorithm: "aes-256-gcm",
        usage: "encryption",
      });
    expect(await codeOf(call)).toBe("ERR_UNAVAILABLE");
    expect(faulty.calls("C_GenerateKey")).toBe(1);
  });

  test("a hung module is ended after its time, and the next call works", async () => {
    const provider = await provide({ operationTimeoutMs: 1000 });
    await provider.sign({ keyId: signing, message });
    faulty.fault("C_SignInit", "hang", 1);
    const first = codeOf(() => provider.sign({ keyId: signing, message }));
    const second = codeOf(() => provider.sign({ keyId: signing, message }));
    expect([await first, await second]).toEqual(["ERR_TIMEOUT", "ERR_UNAVAILABLE"]);
    expect(await codeOf(() => provider.sign({ keyId: signing, message }))).toBe("ok");
  });

  test("a process that is stopped (SIGSTOP) counts as hung", async () => {
    const provider = await provide({ operationTimeoutMs: 1000 });
    await provider.sign({ keyId: signing, message });
    for (const pid of moduleProcesses()) process.kill(pid, "SIGSTOP");
    expect(await codeOf(() => provider.sign({ keyId: signing, message }))).toBe("ERR_TIMEOUT");
    expect(await codeOf(() => provider.sign({ keyId: signing, message }))).toBe("ok");
  });

  test("a module that aborts takes its own process with it, not this one", async () => {
    const provider = await provide();
    await provider.sign({ keyId: signing, message });
    faulty.fault("C_SignInit", "abort", 1);
    const error = await provider.sign({ keyId: signing, message }).catch((e) => e);
    expect(error).toMatchObject({ code: "ERR_UNAVAILABLE" });
    expect(error.message).toContain("SIGABRT");
    expect(await codeOf(() => provider.sign({ keyId: signing, message }))).toBe("ok");
  });

  test("kill -9 of the child: idle nobody notices, in an operation it is unavailable", async () => {
    const provider = await provide();
    await provider.sign({ keyId: signing, message });
    await endModules();
    expect(await codeOf(() => provider.sign({ keyId: signing, message }))).toBe("ok");

    faulty.calls("C_GenerateKeyPair");
    const busy = provider.createKey({ algorithm: "rsa-4096", usage: "signing" });
    while (faulty.calls("C_GenerateKeyPair") === 0) await sleep(5);
    for (const pid of moduleProcesses()) process.kill(pid, "SIGKILL");
    expect(await codeOf(() => busy)).toBe("ERR_UNAVAILABLE");
    expect(await codeOf(() => provider.sign({ keyId: signing, message }))).toBe("ok");
  });

  test("a login that fails with CKR_GENERAL_ERROR is tried once more, in a new process", async () => {
    const provider = await provide();
    const { ciphertext } = await provider.encrypt({ keyId: aes, plaintext: message });
    const calls = [
      () => provider.sign({ keyId: signing, message }),
      () => provider.decrypt({ keyId: aes, ciphertext }),
      // Nothing was made before the login.
      () => provider.createKey({ algorithm: "aes-256-gcm", usage: "encryption" }),
    ];
    for (const call of calls) {
      await endModules();
      faulty.fault("C_Login", "0x5", 1);
      faulty.calls("C_Login");
      expect(await codeOf(call)).toBe("ok");
      expect(faulty.calls("C_Login")).toBe(2);

      await endModules();
      faulty.fault("C_Login", "0x5");
      // And it is no bad ciphertext.
      expect(await codeOf(call)).toBe("ERR_INTERNAL");
      expect(faulty.calls("C_Login")).toBe(2);
      faulty.mend();
      expect(await codeOf(call)).toBe("ok");
    }
  });

  test("a login is tried once more also where the look at the token fails in the same way", async () => {
    const provider = await provide();
    await provider.describeToken();
    faulty.fault("C_Login,C_GetTokenInfo", "0x5", 2);
    faulty.calls("C_Login");
    expect(await codeOf(() => provider.sign({ keyId: signing, message }))).toBe("ok");
    expect(faulty.calls("C_Login")).toBe(2);
  });

  test("after close no process is started and no PIN given, whatever was under way", async () => {
    const provider = await provide();
    await provider.sign({ keyId: signing, message });
    faulty.fault("C_SignInit", "0x190", 1);
    faulty.calls("C_Login");
    const late = provider.sign({ keyId: signing, message }).catch((error) => error);
    await provider.close();
    expect(await late).toMatchObject({ code: "ERR_CLOSED" });
    await sleep(100);
    expect(faulty.calls("C_Login")).toBe(0);
    expect(moduleProcesses()).toEqual([]);
  });

  test("close zeroes the PIN", async () => {
    const pin = new Uint8Array(hsm.pin);
    const pool = createPool({
      ...{ modulePath: hsm.modulePath, initialize: {}, env: childEnvironment(hsm.env), token: {} },
      ...{ pin, maxSessions: 1, maxCalls: 1, operationTimeoutMs: 10_000 },
    });
    const { bytes } = await pool.call("random", { bytes: 4 }, { context: {} });
    expect(bytes[0]).toHaveLength(4);
    await pool.close();
    expect([...pin]).toEqual([0, 0, 0, 0]);
  });

  test("a short call behind a long one has its own time, not the rest of the long one's", async () => {
    const provider = await provide({ operationTimeoutMs: 1000 });
    await provider.sign({ keyId: signing, message });
    faulty.calls("C_GenerateKeyPair");
    const long = provider.createKey({ algorithm: "rsa-4096", usage: "signing" });
    while (faulty.calls("C_GenerateKeyPair") === 0) await sleep(5);
    faulty.fault("C_SignInit", "hang", 1);
    const short = codeOf(() => provider.sign({ keyId: signing, message }));
    await long;
    const startedAt = performance.now();
    expect(await short).toBe("ERR_TIMEOUT");
    // The key has two minutes.
    expect(performance.now() - startedAt).toBeLessThan(30_000);
  }, 130_000);

  test("an abort ends the wait for a token that hangs while it is opened", async () => {
    faulty.fault("C_OpenSession", "0xe0");
    const provider = await provide();
    faulty.fault("C_OpenSession", "hang", 1);
    faulty.calls("C_OpenSession");
    const given = new AbortController();
    const { signal } = given;
    const calls = [provider.sign({ keyId: "k", message, signal }), provider.health({ signal })];
    const settled = Promise.allSettled(calls);
    while (faulty.calls("C_OpenSession") === 0) await sleep(10);
    const reason = new Error("enough");
    given.abort(reason);
    expect(await settled).toEqual(calls.map(() => ({ status: "rejected", reason })));
    await endModules();
  });

  test.each(["idle", "in a call that hangs"])(
    "kill -9 of the parent ends the child: %s",
    async (how) => {
      const program = `
      const { createPkcs11Provider } = await import(${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)});
      const { env, modulePath } = ${JSON.stringify({ env: faulty.env, modulePath: faulty.modulePath })};
      const provider = await createPkcs11Provider({ env, modulePath, pin: Buffer.from("1234"), maxSessions: 1 });
      await provider.sign({ keyId: ${JSON.stringify(signing)}, message: Buffer.alloc(1) });
      process.stdout.write("ready");
      process.stdin.once("data", () => void provider.sign({ keyId: ${JSON.stringify(signing)}, message: Buffer.alloc(1) }));
      setInterval(() => {}, 1000);`;
      const args = ["--conditions=@lango/source", "--input-type=module", "-e", program];
      const parent = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
      try {
        await once(parent.stdout, "data");
        const [child] = moduleProcesses(parent.pid);
        expect(child).toBeGreaterThan(0);
        if (how !== "idle") {
          faulty.fault("C_SignInit", "hang", 1);
          faulty.calls("C_SignInit");
          parent.stdin.write("go");
          while (faulty.calls("C_SignInit") === 0) await sleep(10);
        }
        parent.kill("SIGKILL");
        await once(parent, "exit");
        await expect.poll(() => isRunning(child!), { timeout: 20_000 }).toBe(false);
      } finally {
        parent.kill("SIGKILL");
      }
    },
    60_000,
  );

  test("a wrong PIN is tried once, by all sessions together, and never again", async () => {
    const provider = await provide({ pin: Buffer.from("9999"), maxSessions: 4 });
    faulty.calls("C_Login");
    const calls = Array.from({ length: 40 }, () =>
      codeOf(() => provider.sign({ keyId: signing, message })),
    );
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["ERR_ACCESS_DENIED"]));
    expect(await codeOf(() => provider.random({ bytes: 1 }))).toBe("ERR_ACCESS_DENIED");
    expect(await provider.health({})).toMatchObject({ healthy: false });
    expect(faulty.calls("C_Login")).toBe(1);
    const error = await provider.sign({ keyId: signing, message }).catch((e) => e);
    expect(`${error.stack}${JSON.stringify(error)}`).not.toContain("9999");
  });

  test("a key that another process deletes is not found at its next use", async () => {
    const provider = await provide();
    const label = "short-lived";
    await provider.createKey({ keyId: label, algorithm: "ecdsa-p256", usage: "signing" });
    await provider.sign({ keyId: label, message });
    onToken(
      hsm,
      `for (const o of find([{ type: p.CKA_LABEL, value: Buffer.from("${label}") }])) m.C_DestroyObject(s, o);`,
    );
    expect(await codeOf(() => provider.sign({ keyId: label, message }))).toBe("ERR_KEY_NOT_FOUND");
    expect(await codeOf(() => provider.sign({ keyId: signing, message }))).toBe("ok");
  });
});
