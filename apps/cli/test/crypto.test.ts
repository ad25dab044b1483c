import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash, createPublicKey, randomBytes, verify } from "node:crypto";
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ALGORITHMS } from "@lango/crypto-local";
import { beforeEach, describe, expect, test } from "vitest";
import {
  environment,
  expectOneFault,
  fileWith,
  folder,
  LANGO,
  LANGO_IN_SHELL,
  lango,
  langoJson,
  vaultHome,
} from "./support.ts";

let home: string;
beforeEach(async () => {
  home = await vaultHome();
});
const run = (args: readonly string[], input?: string | Uint8Array) =>
  lango(args, { home, ...(input === undefined ? {} : { input }) });
const keys = (...args: string[]) => run(["keys", ...args]);

describe("keys", () => {
  test("list and describe need no passphrase", async () => {
    const options = { home, env: { LANGO_PASSPHRASE: undefined } };
    const { document } = await langoJson(["keys", "list"], options);
    expect(document.data.keys).toMatchObject([
      { uri: "local:default", type: "encryption", algorithm: "aes-256-gcm", keyVersion: "1" },
    ]);
    const described = await langoJson(["keys", "describe", "default"], options);
    expect(described.document.data.uri).toBe("local:default");
    expect((await lango(["keys", "describe", "local:default"], options)).stdout).toMatch(
      /^uri +local:default\n/,
    );
    expectOneFault(await lango(["keys", "describe", "none"], options), 3, /no key none/);
  });

  test("create makes keys of each algorithm, hmac-sha256 by default for signing", async () => {
    expect((await keys("create", "a", "--type", "encryption")).stdout).toBe(
      "created local:a (aes-256-gcm)\n",
    );
    expect((await keys("create", "b", "--type", "signing")).stdout).toBe(
      "created local:b (hmac-sha256)\n",
    );
    expect((await keys("create", "c", "--type", "signing", "--dry-run")).stdout).toMatch(/^would/);
    expectOneFault(await keys("create", "a", "--type", "signing"), 9, /a/);
    expectOneFault(await keys("create", "d"), 2, /--type is missing/);
    expectOneFault(await keys("create", "d", "--type", "other"), 2, /one of encryption, signing/);
    const unknown = await keys("create", "d", "--type", "signing", "--algorithm", "md5");
    expectOneFault(
      unknown,
      2,
      new RegExp(`one of ${Object.keys(ALGORITHMS).join(", ")}, rsa-2048, rsa-3072, rsa-4096$`),
    );
    const rsa = await keys("create", "d", "--type", "signing", "--algorithm", "rsa-2048");
    expectOneFault(rsa, 2, /no local keys/);
    expectOneFault(await keys("create", "d e", "--type", "signing"), 2, /./);
    expectOneFault(await keys("public-key", "a"), 2, /./);
    expectOneFault(await keys("public-key", "none"), 3, /none/);
  });
});

describe("crypto encrypt and decrypt", () => {
  const message = randomBytes(70_000);

  test("through pipes, raw", async () => {
    const sealed = await run(["crypto", "encrypt"], message);
    expect(sealed.code, sealed.stderr).toBe(0);
    expect(sealed.bytes.subarray(0, 4).toString()).toBe("LNGR");
    const opened = await run(["crypto", "decrypt"], sealed.bytes);
    expect(opened.bytes.equals(message)).toBe(true);
  });

  test("as base64, which decrypt takes too", async () => {
    const sealed = await run(["crypto", "encrypt", "--base64"], message);
    expect(sealed.stdout).toMatch(/^TE5HU[A-Za-z0-9+/]+=*\n$/);
    expect((await run(["crypto", "decrypt"], sealed.stdout)).bytes.equals(message)).toBe(true);
    const file = fileWith(sealed.stdout);
    const out = join(folder(), "out");
    expect((await run(["crypto", "decrypt", "--in", file, "--out", out])).code).toBe(0);
    expect(readFileSync(out).equals(message)).toBe(true);
  });

  test("from file to file, mode 0600, and with --stream", async () => {
    const from = fileWith(message);
    for (const stream of [[], ["--stream"]]) {
      const sealed = join(folder(), "sealed");
      const opened = join(folder(), "opened");
      expect(
        (await run(["crypto", "encrypt", "--in", from, "--out", sealed, ...stream])).code,
      ).toBe(0);
      expect(statSync(sealed).mode & 0o777).toBe(0o600);
      expect(
        (await run(["crypto", "decrypt", "--in", sealed, "--out", opened, ...stream])).code,
      ).toBe(0);
      expect(readFileSync(opened).equals(message)).toBe(true);
      expect(statSync(opened).mode & 0o777).toBe(0o600);
    }
    const piped = await run(["crypto", "encrypt", "--stream"], message);
    expect((await run(["crypto", "decrypt"], piped.bytes)).bytes.equals(message)).toBe(true);
    expect((await run(["crypto", "decrypt", "--stream"], piped.bytes)).bytes.equals(message)).toBe(
      true,
    );
    const file = fileWith(piped.bytes);
    const streamed = await run(["crypto", "decrypt", "--in", file, "--stream"]);
    expect(streamed.bytes.equals(message)).toBe(true);
  });

  test("a file of any size to stdout; stdin up to 64 MiB without --stream", {
    timeout: 120_000,
  }, async () => {
    const large = Buffer.alloc(64 * 1024 * 1024 + 1, "abcdefgh");
    const file = fileWith(large);
    const sealed = await run(["crypto", "encrypt", "--in", file]);
    expect(sealed.code, sealed.stderr).toBe(0);
    const sealedFile = fileWith(sealed.bytes);
    const opened = await run(["crypto", "decrypt", "--in", sealedFile]);
    expect(opened.bytes.equals(large), opened.stderr).toBe(true);
    expectOneFault(await run(["crypto", "encrypt"], large), 2, /more than 64 MiB$/);
    // Its last piece is past the limit of one that would fit.
    const larger = Buffer.concat([sealed.bytes, Buffer.alloc(2 * 1024 * 1024)]);
    expectOneFault(await run(["crypto", "decrypt"], larger), 2, /more than 64 MiB$/);
    // Verified to its end before a byte is written, at any size.
    const altered = Buffer.from(sealed.bytes);
    altered[altered.length - 1]! ^= 1;
    expectOneFault(await run(["crypto", "decrypt", "--in", fileWith(altered)]), 8, /./);
  });

  test("- is standard input and output, and a pipe will do for --in", async () => {
    const cwd = folder();
    const dash = ["--in", "-", "--out", "-"];
    const sealed = await lango(["crypto", "encrypt", ...dash], { home, input: message, cwd });
    const opened = await lango(["crypto", "decrypt", ...dash], { home, input: sealed.bytes, cwd });
    expect(opened.bytes.equals(message), opened.stderr).toBe(true);
    expect(readdirSync(cwd)).toEqual([]);
    const file = fileWith(sealed.bytes);
    for (const flags of ["", "--stream", "--out out"]) {
      const script = `cat '${file}' | ${LANGO_IN_SHELL} crypto decrypt --in /dev/stdin ${flags}`;
      const env = environment(home);
      const output = execFileSync("sh", ["-c", script], { env, cwd, encoding: "buffer" });
      const found = flags === "--out out" ? readFileSync(join(cwd, "out")) : output;
      expect(found.equals(message), flags).toBe(true);
    }
  });

  test("--out destroys no pipe and no link, and is told in words what it is", async () => {
    const place = folder();
    const [pipe, link, target] = [join(place, "pipe"), join(place, "link"), join(place, "target")];
    execFileSync("mkfifo", [pipe]);
    writeFileSync(target, "before");
    symlinkSync("target", link);
    const file = fileWith("x");
    for (const from of [["--in", file], ["--stream"], []]) {
      const encrypt = (out: string) => run(["crypto", "encrypt", ...from, "--out", out], "x");
      expectOneFault(
        await encrypt(pipe),
        2,
        /^lango: Cannot write .*pipe: it is not a regular file$/,
      );
      expectOneFault(await encrypt(place), 2, /^lango: Cannot write .*: it is a folder$/);
      expectOneFault(
        await encrypt(join(place, "no/x")),
        3,
        /^lango: Cannot write .*\/no\/x: there is no folder .*\/no$/,
      );
      expect((await encrypt(link)).code).toBe(0);
      expect(readFileSync(target).subarray(0, 4).toString()).toBe("LNGR");
    }
    expect(lstatSync(pipe).isFIFO()).toBe(true);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readdirSync(place).sort()).toEqual(["link", "pipe", "target"]);
    expectOneFault(
      await run(["crypto", "encrypt", "--in", "/nope", "--out", link]),
      3,
      /^lango: Cannot read \/nope: there is no such file$/,
    );
  });

  test("a full standard output is told in one line", () => {
    // Opened, never replaced: the shell redirects into it.
    const script = `${LANGO_IN_SHELL} crypto hash > /dev/full`;
    const ran = spawnSync("sh", ["-c", script], { input: "x", encoding: "utf8" });
    expect(ran.stderr).toBe("lango: Cannot write to standard output: the disk is full\n");
    expect(ran.status).toBe(75);
  });

  test("for several keys, of which each opens it", async () => {
    await keys("create", "second", "--type", "encryption");
    const flags = ["--key", "local:default", "--key", "second"];
    const sealed = (await run(["crypto", "encrypt", ...flags], "for two")).bytes;
    for (const key of ["local:default", "local:second"]) {
      expect((await run(["crypto", "decrypt", "--key", key], sealed)).stdout).toBe("for two");
    }
  });

  test("--json names the keys; plaintext only with --reveal", async () => {
    const sealed = await langoJson(["crypto", "encrypt"], { home, input: "hello" });
    expect(sealed.document.data.keys).toEqual(["local:default"]);
    const input = sealed.document.data.ciphertext;
    const refused = await langoJson(["crypto", "decrypt"], { home, input });
    expect(refused.code).toBe(2);
    expect(refused.document.error?.message).toContain("--reveal");
    const opened = await langoJson(["crypto", "decrypt", "--reveal"], { home, input });
    expect(opened.document.data.plaintext).toBe(Buffer.from("hello").toString("base64"));
  });

  test("a wrong AAD, key or altered input is 8, with no output at all", async () => {
    await keys("create", "second", "--type", "encryption");
    const sealed = (await run(["crypto", "encrypt", "--aad", "invoice 7"], message)).bytes;
    const altered = Buffer.from(sealed);
    altered[altered.length - 20]! ^= 1;
    const stream = (await run(["crypto", "encrypt", "--stream"], message)).bytes;
    const cases: [string[], Uint8Array][] = [
      [[], sealed],
      [["--aad", "invoice 8"], sealed],
      [["--aad", "invoice 7", "--key", "local:second"], sealed],
      [["--aad", "invoice 7"], altered],
      [["--aad", "invoice 7"], sealed.subarray(0, sealed.length - 1)],
      [[], sealed.subarray(0, 10)],
      [[], Buffer.from("no message at all")],
      [[], Buffer.from("TE5HU!not base64")],
      [[], stream.subarray(0, stream.length - 1)],
      [[], Buffer.concat([stream, Buffer.from([0])])],
    ];
    for (const [flags, input] of cases) {
      const out = join(folder(), "out");
      expectOneFault(await run(["crypto", "decrypt", ...flags], input), 8, /./);
      const file = fileWith(input);
      for (const more of [["--out", out], ["--stream"], ["--stream", "--out", out]]) {
        expectOneFault(await run(["crypto", "decrypt", "--in", file, ...flags, ...more]), 8, /./);
      }
      expect(readdirSync(dirname(out))).toEqual([]);
    }
  });

  test("refuses what it cannot do before it reads or unlocks", async () => {
    expectOneFault(await run(["crypto", "encrypt", "--key", "local:none"], "x"), 3, /none/);
    expectOneFault(await run(["crypto", "decrypt", "--key", "local:none"], "x"), 3, /none/);
    expectOneFault(await run(["crypto", "encrypt", "--key", "aws-kms:x"], "x"), 3, /aws-kms/);
    expectOneFault(
      await run(["crypto", "encrypt", "--key", "pkcs11:x?pin-value=1"], "x"),
      2,
      /pin/,
    );
    expectOneFault(await run(["crypto", "encrypt", "--in", "/nonexistent"]), 3, /Cannot read/);
    expectOneFault(await run(["crypto", "encrypt", "--in", "/"]), 2, /folder/);
    const out = join(folder(), "no", "such", "folder");
    expectOneFault(await run(["crypto", "encrypt", "--out", out], "x"), 3, /Cannot write/);
    expectOneFault(await run(["crypto", "encrypt", "--stream", "--base64"], "x"), 2, /text form/);
    await keys("create", "mac", "--type", "signing");
    expectOneFault(await run(["crypto", "encrypt", "--key", "local:mac"], "x"), 2, /./);
    expect(existsSync(out)).toBe(false);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s in the middle of a stream is %d and leaves no file", async (signal, code) => {
    const out = join(folder(), "out");
    const child = spawn(
      process.execPath,
      [...LANGO, "crypto", "encrypt", "--stream", "--out", out],
      { env: environment(home), stdio: ["pipe", "ignore", "inherit"] },
    );
    child.stdin.write(message);
    await expect.poll(() => readdirSync(dirname(out)), { timeout: 20_000 }).toHaveLength(1);
    child.kill(signal);
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(code);
    expect(readdirSync(dirname(out))).toEqual([]);
  });

  test("more than 64 MiB on stdin needs --stream", async () => {
    const big = new Uint8Array(64 * 1024 * 1024 + 1);
    const refused = await run(["crypto", "encrypt"], big);
    expectOneFault(refused, 2, /more than 64 MiB$/);
    expect(refused.stderr).toContain("--stream");
    const sealed = await run(["crypto", "encrypt", "--stream"], big);
    expect(sealed.bytes.length).toBeGreaterThan(big.length);
  });
});

describe("crypto sign and verify", () => {
  test.each(["ecdsa-p256", "ecdsa-p384", "secp256k1", "ed25519"])(
    "%s signatures fit the exported public key",
    async (algorithm) => {
      await keys("create", "k", "--type", "signing", "--algorithm", algorithm);
      const pem = (await keys("public-key", "k")).stdout;
      const key = createPublicKey(pem);
      const hash =
        algorithm === "ed25519" ? null : algorithm === "ecdsa-p384" ? "sha384" : "sha256";
      const signed = await run(["crypto", "sign", "--key", "k"], "message");
      expect(signed.stderr).toMatch(/signature by local:k/);
      const dsaEncoding = "ieee-p1363";
      expect(verify(hash, Buffer.from("message"), { key, dsaEncoding }, signed.bytes)).toBe(true);
      const signature = fileWith(signed.bytes);
      const good = await run(
        ["crypto", "verify", "--key", "k", "--signature", signature],
        "message",
      );
      expect(good).toMatchObject({ code: 0, stdout: "valid signature by local:k\n" });
      const bad = await run(
        ["crypto", "verify", "--key", "k", "--signature", signature],
        "massage",
      );
      expectOneFault(bad, 8, /signature is not one by local:k/);
      if (algorithm !== "ed25519") {
        const der = await run(["crypto", "sign", "--key", "k", "--encoding", "der"], "message");
        expect(verify(hash, Buffer.from("message"), key, der.bytes)).toBe(true);
        const args = ["crypto", "verify", "--key", "k", "--encoding", "der", "--signature"];
        expect((await run([...args, fileWith(der.bytes)], "message")).code).toBe(0);
        expectOneFault(await run([...args, signature], "message"), 8, /not one/);
        const unsaid = ["crypto", "verify", "--key", "k", "--signature", fileWith(der.bytes)];
        expect((await run(unsaid, "message")).stderr).toContain("If it is DER, say --encoding der");
      }
    },
  );

  test("signs a digest", async () => {
    await keys("create", "k", "--type", "signing", "--algorithm", "ecdsa-p256");
    const digest = createHash("sha256").update("message").digest();
    const signed = await run(["crypto", "sign", "--key", "k", "--digest"], digest);
    const args = ["crypto", "verify", "--key", "k", "--signature", fileWith(signed.bytes)];
    expect((await run(args, "message")).code).toBe(0);
  });

  test("an HMAC key makes a mac and is called so", async () => {
    await keys("create", "m", "--type", "signing");
    const mac = await run(["crypto", "sign", "--key", "m", "--base64"], "message");
    expect(mac.stderr).toBe("hmac-sha256 mac by local:m\n");
    const args = ["crypto", "verify", "--key", "m", "--signature", fileWith(mac.stdout)];
    expect((await run(args, "message")).stdout).toBe("valid mac by local:m\n");
    expectOneFault(await run(args, "massage"), 8, /The mac is not one/);
    const { document } = await langoJson(["crypto", "sign", "--key", "m"], { home, input: "m" });
    expect(document.data).toMatchObject({ key: "local:m", algorithm: "hmac-sha256" });
    expect(Buffer.from(document.data.mac, "base64")).toHaveLength(32);
    expectOneFault(await run(["crypto", "sign", "--key", "m", "--digest"], "x"), 2, /macs/);
    expectOneFault(await run(["crypto", "sign", "--key", "m", "--encoding", "der"], "x"), 2, /der/);
  });

  test("wants a signing key", async () => {
    expectOneFault(await run(["crypto", "sign"], "x"), 2, /--key is missing/);
    expectOneFault(await run(["crypto", "verify", "--key", "x"], "x"), 2, /--signature is missing/);
    expectOneFault(await run(["crypto", "sign", "--key", "default"], "x"), 2, /does not sign/);
    expectOneFault(await run(["crypto", "sign", "--key", "none"], "x"), 3, /none/);
  });
});

describe("crypto hash", () => {
  test.each(["sha256", "sha384", "sha512"])("%s", async (algorithm) => {
    const expected = createHash(algorithm).update("abc").digest();
    const flags = ["crypto", "hash", "--algorithm", algorithm];
    expect((await lango(flags, { input: "abc" })).bytes.equals(expected)).toBe(true);
    const hex = await lango([...flags, "--hex"], { input: "abc" });
    expect(hex.stdout).toBe(`${expected.toString("hex")}\n`);
    const base64 = await lango([...flags, "--base64", "--in", fileWith("abc")], {});
    expect(base64.stdout).toBe(`${expected.toString("base64")}\n`);
    const { document } = await langoJson(flags, { input: "abc" });
    expect(document.data).toEqual({
      algorithm,
      hex: expected.toString("hex"),
      digest: expected.toString("base64"),
    });
  });

  test("refuses others", async () => {
    expectOneFault(await lango(["crypto", "hash", "--algorithm", "md5"]), 2, /one of sha256/);
    const file = join(folder(), "out");
    writeFileSync(file, "kept");
    expectOneFault(await lango(["crypto", "hash", "--in", "/none", "--out", file]), 3, /read/);
    expect(readFileSync(file, "utf8")).toBe("kept");
  });
});
