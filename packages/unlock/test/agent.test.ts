import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { createServer } from "node:net";
import os from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { HELLO_BYTES, request } from "../src/agent/protocol.ts";
import { agentStatus, createUnlocker, lockAgent } from "../src/index.ts";
import {
  agentIn,
  homeForAgent,
  SLOT_ID,
  socketOf,
  talk,
  tokenOf,
  validRequest,
} from "./agent-support.ts";
import { failureOf, KEY_HEX, options, slots, temporaryFolder } from "./support.ts";

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
const obtain = (home: string, more = {}) =>
  createUnlocker(options(home, more)).obtain(slots("passphrase"));

describe("as a source", () => {
  test("comes before all others but the flags, and is ambient", async () => {
    const home = homeForAgent();
    await agentIn(home);
    const env = { LANGO_PASSPHRASE: "given", LANGO_MASTER_KEY: KEY_HEX };
    const { credential, skipped } = await obtain(home, { env });
    expect(credential).toMatchObject({
      ...{ kind: "agent", source: "unlock agent", ambient: true, slotIds: [SLOT_ID] },
    });
    expect(Buffer.from(credential.secret).toString("hex")).toBe(KEY_HEX);
    expect(skipped).toEqual([]);
    writeFileSync(join(home, "mine"), "from the flag", { mode: 0o600 });
    const flag = await obtain(home, { env, passphraseFile: join(home, "mine") });
    expect(flag.credential.kind).toBe("passphrase");
    const named = await obtain(home, { env, unlockWith: "passphrase" });
    expect(named.credential.source).toBe("LANGO_PASSPHRASE");
    const fresh = await obtain(home, { env, skipAmbient: true });
    expect(fresh.credential.source).toBe("LANGO_PASSPHRASE");
    expect(fresh.skipped[0]?.source).toBe("unlock agent");
    const only = await obtain(home, { env, unlockWith: "agent" });
    expect(only.credential.kind).toBe("agent");
  });

  test("is described without being used", async () => {
    const home = homeForAgent();
    await agentIn(home, { idleMs: 30_000 });
    const before = await agentStatus(home);
    const lines = await createUnlocker(options(home)).describe(slots("passphrase"));
    expect(lines).toEqual([{ source: "unlock agent", state: "would use" }]);
    expect(await agentStatus(home)).toEqual(before);
  });

  test("that does not answer is skipped with the reason, in two seconds", async () => {
    const home = homeForAgent();
    const { stop } = await agentIn(home);
    const token = tokenOf(home);
    stop();
    const silent = createServer(() => {});
    onTestFinished(() => void silent.close());
    await new Promise<void>((resolve) => silent.listen(socketOf(home), resolve));
    chmodSync(socketOf(home), 0o600);
    writeFileSync(join(home, "run", "agent.token"), token, { mode: 0o600 });
    const { credential, skipped } = await obtain(home, { env: { LANGO_PASSPHRASE: "given" } });
    expect(credential.source).toBe("LANGO_PASSPHRASE");
    expect(skipped[0]?.reason).toBe("the unlock agent did not answer within 2000 ms");
  });

  test.each([
    ["run", 0o755],
    ["run/agent.sock", 0o666],
    ["run/agent.token", 0o644],
  ])("is refused when others may use %s", async (name, mode) => {
    const home = homeForAgent();
    await agentIn(home);
    chmodSync(join(home, name), mode);
    const failure = await failureOf(obtain(home));
    expect(failure.code).toBe("ERR_CONFIG");
    expect(failure.hint).toMatch(/^Run: chmod /);
  });
});

test.each(["run", "run/agent.sock"])("%s is no symbolic link", async (name) => {
  const home = homeForAgent();
  await agentIn(home);
  renameSync(join(home, name), join(home, "elsewhere"));
  symlinkSync(join(home, "elsewhere"), join(home, name));
  const failure = await failureOf(obtain(home));
  expect(failure.message).toMatch(/is a symbolic link$/);
  if (name === "run") {
    rmSync(join(home, "elsewhere", "agent.sock"));
    expect((await failureOf(agentIn(home))).message).toMatch(/is a symbolic link$/);
  }
});

test("what belongs to another user is refused", async () => {
  const home = homeForAgent();
  await agentIn(home);
  const other = vi.spyOn(process as Required<typeof process>, "geteuid").mockReturnValue(12_345);
  onTestFinished(() => other.mockRestore());
  const failure = await failureOf(obtain(home));
  expect(failure).toMatchObject({
    code: "ERR_CONFIG",
    message: expect.stringMatching(/^unlock agent: .*run belongs to user/),
  });
});

describe("its end", () => {
  test("by lock: the key is zeroed and the socket gone before the answer", async () => {
    const home = homeForAgent();
    const agent = await agentIn(home);
    expect(await lockAgent(home)).toBe(true);
    expect(isZero(agent.vaultKey)).toBe(true);
    expect(existsSync(socketOf(home))).toBe(false);
    expect(existsSync(join(home, "run", "agent.token"))).toBe(false);
    expect(await agent.ended).toBe("locked");
    expect(await lockAgent(home)).toBe(false);
    // At once another may start.
    await agentIn(home);
  });

  test.each([
    ["idle", { idleMs: 300 }],
    ["expired", { limitMs: 300 }],
  ] as const)("when it is %s", async (why, limits) => {
    const home = homeForAgent();
    const agent = await agentIn(home, limits);
    expect(await agent.ended).toBe(why);
    expect(isZero(agent.vaultKey)).toBe(true);
    expect(existsSync(socketOf(home))).toBe(false);
  });

  test.each([
    ["idle", { idleMs: 30_000 }],
    ["expired", { limitMs: 30_000 }],
  ] as const)(
    "when the machine slept and it is %s: nobody who asks first gets the key",
    async (why, limits) => {
      const home = homeForAgent();
      const agent = await agentIn(home, limits);
      const now = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 30_000);
      onTestFinished(() => now.mockRestore());
      // Before the watch comes by.
      expect(await talk(home, validRequest(home))).toHaveLength(HELLO_BYTES);
      expect(await agent.ended).toBe(why);
      expect(isZero(agent.vaultKey)).toBe(true);
    },
  );

  test("when the clock was set back all the same", async () => {
    const agent = await agentIn(homeForAgent(), { limitMs: 300 });
    const now = vi.spyOn(Date, "now").mockReturnValue(Date.now() - 3_600_000);
    onTestFinished(() => now.mockRestore());
    expect(await agent.ended).toBe("expired");
  });

  test.each([
    ["idle", { idleMs: 30_000 }],
    ["expired", { limitMs: 30_000 }],
  ] as const)(
    "when the machine slept, its clock was set back and it is %s",
    async (why, limits) => {
      const home = homeForAgent();
      const agent = await agentIn(home, limits);
      const now = vi.spyOn(Date, "now").mockReturnValue(Date.now() - 3_600_000);
      const up = vi.spyOn(os, "uptime").mockReturnValue(os.uptime() + 30);
      syncBuiltinESMExports();
      onTestFinished(() => {
        now.mockRestore();
        up.mockRestore();
        syncBuiltinESMExports();
      });
      expect(await talk(home, validRequest(home))).toHaveLength(HELLO_BYTES);
      expect(await agent.ended).toBe(why);
      expect(isZero(agent.vaultKey)).toBe(true);
    },
  );

  test("is put off by use, never by questions about it or by strangers", async () => {
    const used = homeForAgent();
    const asked = homeForAgent();
    const [one, other] = [
      await agentIn(used, { idleMs: 1500 }),
      await agentIn(asked, { idleMs: 1500 }),
    ];
    let ended = "";
    void other.ended.then((why) => {
      ended = why;
    });
    for (let round = 0; round < 12; round += 1) {
      await obtain(used);
      await agentStatus(asked).catch(() => undefined);
      if (existsSync(socketOf(asked))) await talk(asked, () => [new Uint8Array(33)]);
      await sleep(200);
    }
    expect(ended).toBe("idle");
    expect(isZero(one.vaultKey)).toBe(false);
  });

  test.each([
    ["its home", (home: string) => rmSync(home, { recursive: true })],
    ["its socket", (home: string) => rmSync(socketOf(home))],
    ["its folder, by another name,", (home: string) => renameSync(home, `${home}-moved`)],
  ])("when %s is gone", async (_, remove) => {
    const home = homeForAgent();
    const agent = await agentIn(home);
    remove(home);
    onTestFinished(() => rmSync(`${home}-moved`, { recursive: true, force: true }));
    expect(await agent.ended).toBe("gone");
    expect(isZero(agent.vaultKey)).toBe(true);
  });

  test("leaves the socket of another agent that took its place", async () => {
    const home = homeForAgent();
    const first = await agentIn(home);
    renameSync(socketOf(home), `${socketOf(home)}.old`);
    const second = await agentIn(home);
    expect(await first.ended).toBe("gone");
    expect(existsSync(socketOf(home))).toBe(true);
    expect(isZero(second.vaultKey)).toBe(false);
    expect((await obtain(home)).credential.kind).toBe("agent");
  });
});

describe("its place", () => {
  test("is for one agent: of ten that start at once, one stays", async () => {
    const home = homeForAgent();
    const started = await Promise.allSettled(Array.from({ length: 10 }, () => agentIn(home)));
    const failures = started.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    expect(failures).toHaveLength(9);
    for (const { code } of failures) expect(code).toBe("ERR_CONFLICT");
    expect((await obtain(home)).credential.kind).toBe("agent");
  });

  test("is taken over from one that was killed, by any number at once", async () => {
    const home = homeForAgent();
    const listen = `require("node:net").createServer().listen(process.argv[1], () => console.log())`;
    const killed = spawn(process.execPath, ["-e", listen, socketOf(home)]);
    await new Promise((resolve) => killed.stdout.once("data", resolve));
    killed.kill("SIGKILL");
    await new Promise((resolve) => killed.once("close", resolve));
    chmodSync(socketOf(home), 0o600);
    // Nobody is kept from opening the vault by what is left.
    writeFileSync(join(home, "run", "agent.token"), new Uint8Array(32), { mode: 0o600 });
    const { hint } = await failureOf(obtain(home));
    expect(hint).toContain("unlock agent: none runs");
    const started = await Promise.allSettled(Array.from({ length: 5 }, () => agentIn(home)));
    expect(started.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await obtain(home)).credential.kind).toBe("agent");
    expect(lstatSync(socketOf(home)).mode & 0o777).toBe(0o600);
  });

  test("must be nobody else's, and short enough for a socket; the key is zeroed all the same", async () => {
    const open = homeForAgent();
    chmodSync(join(open, "run"), 0o755);
    const long = join(temporaryFolder(), "x".repeat(100));
    for (const home of [open, long]) {
      const vaultKey = new Uint8Array(32).fill(1);
      const failure = await failureOf(agentIn(home, { vaultKey }));
      expect(failure.code).toBe("ERR_CONFIG");
      expect(isZero(vaultKey)).toBe(true);
    }
  });
});

describe("the protocol", () => {
  test("100 clients at once, all answered, and one more time", async () => {
    const home = homeForAgent();
    await agentIn(home);
    for (let round = 0; round < 2; round += 1) {
      const got = await Promise.all(Array.from({ length: 100 }, () => obtain(home)));
      for (const { credential } of got) {
        expect(Buffer.from(credential.secret).toString("hex")).toBe(KEY_HEX);
      }
    }
  });

  test("a request is good once: not for another connection, nor with another token", async () => {
    const home = homeForAgent();
    await agentIn(home);
    let heard: Uint8Array = new Uint8Array();
    const answered = await talk(home, (nonce) => {
      heard = request("key", nonce, tokenOf(home));
      return [heard];
    });
    expect(answered.length).toBe(HELLO_BYTES + 1 + 12 + 32);
    expect((await talk(home, () => [heard])).length).toBe(HELLO_BYTES);
    const stranger = await talk(home, (nonce) => [request("key", nonce, new Uint8Array(32))]);
    expect(stranger.length).toBe(HELLO_BYTES);
  });

  test("whoever says nothing is left after two seconds, and keeps nobody out", async () => {
    const home = homeForAgent();
    await agentIn(home);
    const { connect } = await import("node:net");
    const idle = Array.from({ length: 200 }, () => connect(socketOf(home)));
    const closed = idle.map((socket) => {
      socket.resume();
      return new Promise((resolve) => socket.on("error", resolve).on("close", resolve));
    });
    expect((await obtain(home)).credential.kind).toBe("agent");
    await Promise.all(closed);
    expect((await obtain(home)).credential.kind).toBe("agent");
  });

  test("answers nothing to what is no request, however it is cut", async () => {
    const home = homeForAgent();
    await agentIn(home);
    const good = validRequest(home);
    const bytes = (max: number) => fc.uint8Array({ maxLength: max });
    const changed = fc.tuple(fc.nat(32), fc.integer({ min: 1, max: 255 }));
    const input = fc.oneof(
      bytes(100).map((sent) => () => [sent]),
      fc.uint8Array({ minLength: 33, maxLength: 33 }).map((sent) => () => [sent]),
      fc.array(bytes(20), { maxLength: 5 }).map((sent) => () => sent),
      // One that is good but for one byte, one that is cut off, one with something behind it.
      changed.map(([at, by]) => (nonce: Uint8Array) => {
        const [sent = new Uint8Array()] = good(nonce);
        sent[at] = (sent[at] ?? 0) ^ by;
        return [sent];
      }),
      fc
        .nat(32)
        .map((length) => (nonce: Uint8Array) => [
          (good(nonce)[0] ?? new Uint8Array()).subarray(0, length),
        ]),
      bytes(4)
        .filter(({ length }) => length > 0)
        .map((more) => (nonce: Uint8Array) => [Buffer.concat([...good(nonce), more])]),
    );
    const runs = torture(20_000, 200_000);
    const inputs = fc.sample(input, runs);
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let write = inputs[next++]; write !== undefined; write = inputs[next++]) {
        const answer = await talk(home, write);
        if (answer.length !== HELLO_BYTES) throw new Error(`answered ${answer.length} bytes`);
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    expect(next).toBeGreaterThan(runs);
    report("inputs to the unlock agent", new Map([["answered with a greeting alone", runs]]));
    expect((await obtain(home)).credential.kind).toBe("agent");
  });
});
