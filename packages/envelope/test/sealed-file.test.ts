import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createOpenStream, open, openFile, replaceFile, seal, sealFile } from "@lango/envelope";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failing, localKeys, recipient, resolver } from "./providers.ts";
import { codeOf, errorOf, pattern, text, through } from "./support.ts";

const provider = localKeys("alpha");
const recipients = [recipient(provider, "alpha")];
const resolve = resolver({ "local:alpha": { provider, keyId: "alpha" } });
const aad = text("aad");

let folder: string;
const at = (name: string) => path.join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "lango envelope-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("sealFile and openFile", () => {
  it.each([0, 1, 65_536, 1_048_576, 1_048_577, 5_000_000])("carry %i bytes", async (size) => {
    writeFileSync(at("plain"), pattern(size));
    await sealFile({ from: at("plain"), to: at("sealed"), aad, recipients });
    await openFile({ from: at("sealed"), to: at("opened"), aad, resolve });
    expect(readFileSync(at("opened")).equals(pattern(size))).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(["opened", "plain", "sealed"]);
    expect(statSync(at("sealed")).mode & 0o777).toBe(0o600);
    expect(statSync(at("opened")).mode & 0o777).toBe(0o600);
  });

  it("reads what the streams and seal make, and the other way round", async () => {
    writeFileSync(at("value"), await seal({ plaintext: text("small"), aad, recipients }));
    await openFile({ from: at("value"), to: at("opened"), aad, resolve });
    expect(readFileSync(at("opened"), "utf8")).toBe("small");
    writeFileSync(at("plain"), pattern(200_000));
    await sealFile({ from: at("plain"), to: at("sealed"), aad, recipients });
    const sealed = readFileSync(at("sealed"));
    expect(Buffer.from(await open({ sealed, aad, resolve })).equals(pattern(200_000))).toBe(true);
    const opened = await through(createOpenStream({ aad, resolve }), [sealed]);
    expect(Buffer.from(opened).equals(pattern(200_000))).toBe(true);
  });

  it("replaces the target, which may be the source", async () => {
    writeFileSync(at("file"), pattern(100_000));
    await sealFile({ from: at("file"), to: at("file"), aad, recipients });
    expect(readFileSync(at("file")).subarray(0, 4).toString()).toBe("LNGR");
    await openFile({ from: at("file"), to: at("file"), aad, resolve });
    expect(readFileSync(at("file")).equals(pattern(100_000))).toBe(true);
  });

  it("leaves the target as it was when the last byte is wrong", async () => {
    writeFileSync(at("plain"), pattern(3_000_000));
    await sealFile({ from: at("plain"), to: at("sealed"), aad, recipients });
    const sealed = readFileSync(at("sealed"));
    sealed[sealed.length - 1]! ^= 1;
    writeFileSync(at("altered"), sealed);
    writeFileSync(at("cut"), sealed.subarray(0, -65_552));
    writeFileSync(at("target"), "before");
    for (const from of [at("altered"), at("cut")]) {
      const run = () => openFile({ from, to: at("target"), aad, resolve });
      expect(await codeOf(run)).toBe("ERR_DECRYPTION_FAILED");
      expect(readFileSync(at("target"), "utf8")).toBe("before");
    }
    expect(readdirSync(folder).sort()).toEqual(["altered", "cut", "plain", "sealed", "target"]);
  });

  it("names what the file system refuses, and asks no provider then", async () => {
    writeFileSync(at("plain"), "x");
    const asked: string[] = [];
    const watched = resolver({ "local:alpha": { provider, keyId: "alpha" } }, asked);
    const missing = await errorOf(() =>
      openFile({ from: at("none"), to: at("t"), resolve: watched }),
    );
    expect(missing.code).toBe("ERR_NOT_FOUND");
    expect(missing.message).toBe(`Cannot read ${at("none")}: there is no such file`);
    expect(missing.cause).toBeInstanceOf(Error);
    expect(asked).toEqual([]);
    const noFolder = () => sealFile({ from: at("plain"), to: at("no/where"), recipients });
    expect(await codeOf(noFolder)).toBe("ERR_NOT_FOUND");
    const fromFolder = () => sealFile({ from: folder, to: at("t"), recipients });
    expect(await codeOf(fromFolder)).toBe("ERR_INVALID_ARGUMENT");
    const toFolder = () => sealFile({ from: at("plain"), to: folder, recipients });
    expect(["ERR_INVALID_ARGUMENT", "ERR_INTERNAL", "ERR_ACCESS_DENIED"]).toContain(
      await codeOf(toFolder),
    );
    expect(readdirSync(folder)).toEqual(["plain"]);
  });

  it("writes where a link leads, and destroys no pipe, device or folder", async () => {
    writeFileSync(at("plain"), "x");
    writeFileSync(at("kept"), "before");
    symlinkSync("kept", at("link"));
    await sealFile({ from: at("plain"), to: at("link"), recipients });
    expect(lstatSync(at("link")).isSymbolicLink()).toBe(true);
    expect(readFileSync(at("kept")).subarray(0, 4).toString()).toBe("LNGR");
    execFileSync("mkfifo", [at("pipe")]);
    symlinkSync("pipe", at("to-pipe"));
    symlinkSync("none", at("nowhere"));
    mkdirSync(at("folder"));
    const refused: [string, string, RegExp][] = [
      ["pipe", "ERR_INVALID_ARGUMENT", /^Cannot write .*pipe: it is not a regular file$/],
      ["to-pipe", "ERR_INVALID_ARGUMENT", /^Cannot write .*to-pipe: it is not a regular file$/],
      ["folder", "ERR_INVALID_ARGUMENT", /^Cannot write .*folder: it is a folder$/],
      ["nowhere", "ERR_NOT_FOUND", /^Cannot write .*nowhere: it is a link that leads nowhere$/],
      ["no/where", "ERR_NOT_FOUND", /^Cannot write .*no\/where: there is no folder .*\/no$/],
    ];
    for (const [name, code, message] of refused) {
      const error = await errorOf(() => sealFile({ from: at("plain"), to: at(name), recipients }));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(message);
    }
    expect(lstatSync(at("pipe")).isFIFO()).toBe(true);
    expect(lstatSync(at("to-pipe")).isSymbolicLink()).toBe(true);
    expect(readdirSync(folder).filter((name) => name.startsWith(".lango"))).toEqual([]);
  });

  it("removes what a killed process left for the same file, and nothing else", async () => {
    writeFileSync(at("plain"), pattern(1_000));
    const left = spawnSync(process.execPath, ["-e", ""]).pid;
    let name = "";
    await replaceFile(at("t"), async () => {
      name = readdirSync(folder).find((each) => each.startsWith(".lango"))!;
    });
    const abandoned = name.replace(`-${process.pid}-`, `-${left}-`);
    const alive = name.replace(`-${process.pid}-`, `-${process.ppid}-`);
    for (const each of [abandoned, alive]) writeFileSync(at(each), "plaintext");
    await sealFile({ from: at("plain"), to: at("other"), recipients });
    expect(readdirSync(folder)).toContain(abandoned);
    await sealFile({ from: at("plain"), to: at("t"), recipients });
    expect(readdirSync(folder).filter((each) => each.startsWith(".lango"))).toEqual([alive]);
  });

  it("leaves nothing behind when a provider fails or the call is aborted", async () => {
    writeFileSync(at("plain"), pattern(4_000_000));
    await sealFile({ from: at("plain"), to: at("sealed"), aad, recipients });
    const down = resolver({
      "local:alpha": { provider: failing(provider, "ERR_UNAVAILABLE"), keyId: "alpha" },
    });
    const unavailable = () => openFile({ from: at("sealed"), to: at("t"), aad, resolve: down });
    expect(await codeOf(unavailable)).toBe("ERR_UNAVAILABLE");
    const controller = new AbortController();
    const reason = new Error("enough");
    const aborting = openFile({
      from: at("sealed"),
      to: at("t"),
      aad,
      signal: controller.signal,
      resolve: async () => {
        setImmediate(() => controller.abort(reason));
        return { provider, keyId: "alpha" };
      },
    });
    await expect(aborting).rejects.toBe(reason);
    expect(readdirSync(folder).sort()).toEqual(["plain", "sealed"]);
  });

  it("does not open its temporary file to others under a wide umask", async () => {
    const before = process.umask(0);
    try {
      writeFileSync(at("plain"), "x");
      chmodSync(at("plain"), 0o644);
      await sealFile({ from: at("plain"), to: at("sealed"), recipients });
      expect(statSync(at("sealed")).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });
});
