import { type ChildProcess, spawn } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Channel, createChannelListener, loadIdentity } from "@lango/companion";
import { toPlain } from "@lango/crypto-core";
import { openVault } from "@lango/vault";
import { describe, expect, onTestFinished, test } from "vitest";
import { joinPairing, paired, serve } from "./companion-support.ts";
import { good, line } from "./provider-support.ts";
import {
  environment,
  expectOneFault,
  LANGO,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

const CODE = /[0-7][0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{5,6}){4}/;
const SIGN = ["crypto", "sign", "--key", "rpc:release", "--base64"];

/** lango on a terminal; its vault opens by the environment. */
const session = (home: string, ...args: string[]): Terminal =>
  new Terminal(process.execPath, [...LANGO, ...args], environment(home));

/** The address at which a companion on a terminal listens, and the code that it shows. */
async function shown(terminal: Terminal): Promise<{ url: string; code: string }> {
  await terminal.see("listens at https://");
  await expect.poll(() => terminal.output, { timeout: 10_000 }).toMatch(CODE);
  const url = /listens at (https:[^\s]+)/.exec(terminal.output)?.[1] ?? "";
  return { url, code: CODE.exec(terminal.output)?.[0] ?? "" };
}

describe("two homes that are paired", () => {
  test("the agent signs with a key of the companion, and knows it from then on", async () => {
    const { agent, companion, served } = await paired(["--allow", "sign=release"]);
    await good(["keys", "create", "release", "--type", "signing", "--provider", "rpc:release"], {
      home: agent,
    });
    const signature = await good(["crypto", "sign", "--key", "release", "--base64"], {
      home: agent,
      input: "message",
    });
    const pem = await good(["keys", "public-key", "release"], { home: agent });
    const bytes = Buffer.from(signature, "base64");
    expect(verify(null, Buffer.from("message"), createPublicKey(pem), bytes)).toBe(true);
    // Its own key, and nobody else's.
    expect(await good(["keys", "public-key", "release"], { home: companion })).toBe(pem);

    expect(served.output()).toMatch(/^laptop: sign, ok, not asked, \d+ ms$/m);
    const actions = (await good(["audit", "tail"], { home: companion })).split("\n");
    expect(actions.some((row) => row.includes("companion.sign"))).toBe(true);
    expect(actions.some((row) => row.includes("key.sign"))).toBe(true);

    const status = await good(["security", "status"], { home: agent });
    expect(line(status, "companion")).toMatch(
      /^phone \(companion, active, last seen .*Z(, answers)?\)$/,
    );
    const { document } = await langoJson(["companion", "list"], { home: companion });
    expect(document.data.devices).toMatchObject([
      { name: "laptop", role: "agent", state: "active", lastSeenAt: expect.any(Number) },
    ]);
    expect(await served.stop()).toBe(0);
  });

  test("secrets under a data key of the companion are read back, and are out of reach without it", async () => {
    const { agent, companion, served } = await paired(["--allow", "unwrapKey=data"]);
    await good(["security", "provider", "migrate", "--to", "rpc:data", "--yes"], { home: agent });
    await good(["security", "secrets", "set", "new"], { home: agent, input: "fresh" });
    const get = (name: string) => ["security", "secrets", "get", name, "--reveal"];
    expect(await good(get("new"), { home: agent })).toBe("fresh");
    expect(await good(get("api/key"), { home: agent })).toBe(SECRET);
    const status = await good(["security", "status", "--probe"], { home: agent });
    expect(line(status, "mode")).toBe("rpc");
    expect(line(status, "companion")).toMatch(/, answers\)$/);
    expect((await lango(["doctor", "--probe"], { home: agent })).stdout).toMatch(
      /^ok +companion +1 paired$/m,
    );

    await served.stop();
    expectOneFault(await lango(get("new"), { home: agent }), 7, /No companion answers at/);
    const set = ["security", "secrets", "set", "other"];
    expectOneFault(await lango(set, { home: agent, input: "x" }), 7, /No companion answers at/);
    await good(["settings", "set", "security.signer.fallbackToLocal", "true"], { home: agent });
    await good(set, { home: agent, input: "meanwhile" });
    expect(line(await good(["security", "status"], { home: agent }), "degraded")).toMatch(/^1 /);
    // Reading never falls back.
    expectOneFault(await lango(get("new"), { home: agent }), 7, /No companion answers at/);

    const back = await serve(companion, {
      port: Number(new URL(served.url).port),
      args: ["--allow", "unwrapKey=data"],
    });
    expect(await good(get("other"), { home: agent })).toBe("meanwhile");
    await good(["security", "provider", "rewrap"], { home: agent });
    expect(line(await good(["security", "status"], { home: agent }), "degraded")).toBe("no");
    expect(await back.stop("SIGINT")).toBe(0);
  });

  test("a revoked agent is dropped while it waits, and gets nothing more", async () => {
    const { agent, companion, served } = await paired();
    const phone = await serveOnTerminal(companion, served);
    const waiting = lango(SIGN, { home: agent, input: "message" });
    await phone.see("Allow it? [y/N]");
    const { document } = await langoJson(["companion", "list"], { home: companion });
    expect(document.data.devices).toMatchObject([{ name: "laptop", connected: true }]);
    await good(["companion", "revoke", "laptop", "--yes"], { home: companion });
    const ran = await waiting;
    expectOneFault(ran, 5, /./);
    await phone.see("nobody waits for the answer");
    const after = await lango(SIGN, { home: agent, input: "message" });
    expectOneFault(after, 7, /closed the connection after TLS/);
    expect(await good(["companion", "list"], { home: companion })).toBe("");
  });

  test("without a terminal what needs a yes is denied, and audited", async () => {
    const { agent, companion, served } = await paired();
    const ran = await lango(SIGN, { home: agent, input: "message" });
    expectOneFault(ran, 5, /nobody can be asked/);
    expect(served.output()).toMatch(/^laptop: sign, ERR_DENIED, not asked, \d+ ms$/m);
    expect(await good(["audit", "tail"], { home: companion })).toMatch(
      /companion\.sign.*ERR_DENIED/,
    );
  });

  test("the vault's own keys do not exist for agents", async () => {
    const { agent, companion } = await paired(["--allow", "decrypt"]);
    await good(["keys", "create", "own", "--type", "encryption"], { home: companion });
    await good(["security", "secrets", "set", "s", "--key", "local:own"], {
      home: companion,
      input: "x",
    });
    // Without it, `default` is a name like others.
    await good(["settings", "set", "security.signer.keyId", ""], { home: agent });
    for (const key of ["rpc:own", "rpc:default", "rpc:local:own", "rpc:none"]) {
      const ran = await lango(["crypto", "encrypt", "--key", key], { home: agent, input: "x" });
      expectOneFault(ran, 3, /There is no key|is not there/);
    }
  });

  test("the conformance checks hold over the wire", async () => {
    const { agent, companion } = await paired([
      ...["--allow", "sign", "--allow", "decrypt", "--allow", "unwrapKey", "--allow", "mac"],
    ]);
    await good(["keys", "create", "second", "--type", "encryption"], { home: companion });
    await good(["keys", "create", "tag", "--type", "signing"], { home: companion });
    const keys = ["--aead", "data", "--aead", "second", "--mac", "hmac-sha256=tag"];
    const { document, code } = await langoJson(
      ["security", "provider", "check", "rpc", ...keys, "--signing", "ed25519=release"],
      { home: agent },
    );
    const bad = document.data.checks.filter(
      (each: { outcome: string }) => each.outcome === "failed",
    );
    expect({ code, bad }).toEqual({ code: 0, bad: [] });
    expect(document.data.checks.length).toBeGreaterThan(30);
  }, 120_000);
});

/** Ends the companion without a terminal, and starts it on one at the same address. */
async function serveOnTerminal(
  home: string,
  served: Awaited<ReturnType<typeof serve>>,
): Promise<Terminal> {
  await served.stop();
  const at = new URL(served.url).host;
  const terminal = session(home, "companion", "serve", "--listen", at, "--name", "phone");
  await terminal.see("listens at https://");
  return terminal;
}

describe("on terminals", () => {
  test("the code is typed, not shown; then the person at the companion says yes, and no", async () => {
    const agent = await vaultHome();
    const companion = await vaultHome();
    await good(["keys", "create", "release", "--type", "signing"], { home: companion });
    const phone = session(companion, "companion", "serve", "--pair", "--listen", "127.0.0.1:0");
    const { url, code } = await shown(phone);
    expect(phone.output).toContain("lango-pair://");

    const laptop = session(agent, "companion", "pair", "--url", url, "--name", "laptop");
    await laptop.see("Code that the other device shows");
    laptop.type(`${code.toLowerCase()}\r`);
    expect(await laptop.end()).toMatchObject({ exitCode: 0 });
    expect(laptop.output).toMatch(/paired with the companion/);
    expect(laptop.output).toContain(`lango settings set security.signer.rpcUrl ${url}`);
    expect(laptop.output.toUpperCase()).not.toContain(code);
    await phone.see('paired with the agent "laptop"');

    await good(["settings", "set", "security.signer.rpcUrl", url], { home: agent });
    await good(["settings", "set", "security.signer.provider", "rpc"], { home: agent });
    // Typed before the question is there: no answer.
    phone.type("y\ry\r");
    const first = lango(SIGN, { home: agent, input: "message" });
    await phone.see("Allow it? [y/N]");
    expect(phone.output).toContain("Device: laptop");
    await sleep(300);
    phone.type("y\r");
    expect(await first).toMatchObject({ code: 0 });
    await phone.see("laptop: mac, ok, asked");

    phone.output = "";
    const second = lango(SIGN, { home: agent, input: "message" });
    await phone.see("Allow it? [y/N]");
    phone.type("n\r");
    expectOneFault(await second, 5, /said no/);

    phone.output = "";
    const third = lango(SIGN, { home: agent, input: "message" });
    await phone.see("Allow it? [y/N]");
    phone.type("\u0003");
    expect(await phone.end()).toMatchObject({ exitCode: 0 });
    expect([5, 7]).toContain((await third).code);
    for (const home of [agent, companion]) {
      expect(await good(["audit", "tail"], { home })).not.toContain(code);
    }
  }, 60_000);

  test("six digits are compared", async () => {
    const agent = await vaultHome();
    const phone = session(
      await vaultHome(),
      ...["companion", "serve", "--pair", "--compare", "--listen", "127.0.0.1:0"],
    );
    await phone.see("waiting for the other device at https://");
    const url = /waiting for the other device at (https:[^\s]+)/.exec(phone.output)?.[1] ?? "";
    const laptop = session(agent, "companion", "pair", "--compare", "--url", url);
    const digits: (string | undefined)[] = [];
    for (const terminal of [phone, laptop]) {
      await terminal.see("show the same digits?");
      digits.push(/\b\d{3} \d{3}\b/.exec(terminal.output)?.[0]);
    }
    expect(digits[0]).toBeDefined();
    expect(digits[0]).toBe(digits[1]);
    phone.type("y\r");
    laptop.type("y\r");
    expect(await laptop.end()).toMatchObject({ exitCode: 0 });
    await phone.see("paired with the agent");
  });

  test("digits that differ pair nobody", async () => {
    const agent = await vaultHome();
    const phone = session(
      await vaultHome(),
      ...["companion", "serve", "--pair", "--compare", "--listen", "127.0.0.1:0"],
    );
    await phone.see("waiting for the other device at https://");
    const url = /waiting for the other device at (https:[^\s]+)/.exec(phone.output)?.[1] ?? "";
    const laptop = session(agent, "companion", "pair", "--compare", "--url", url);
    await laptop.see("show the same digits?");
    laptop.type("n\r");
    expect(await laptop.end()).toMatchObject({ exitCode: 5 });
    await phone.see("paired devices are served all the same");
    expect(await good(["companion", "list"], { home: agent })).toBe("");
  });
});

describe("a pairing", () => {
  test("with a wrong code is refused, and nothing of it is repeated", async () => {
    const agent = await vaultHome();
    let told = "";
    await serve(await vaultHome(), {
      pair: async (code, url) => {
        const wrong = `${code.slice(0, -1)}${code.endsWith("0") ? "1" : "0"}`;
        const args = ["companion", "pair", "--url", url, "--code-fd", "0"];
        const ran = await lango(args, { home: agent, input: wrong });
        expectOneFault(ran, 5, /./);
        told = ran.stderr;
        expect(told).not.toContain(wrong);
      },
    });
    expect(told).not.toBe("");
    expect(await good(["companion", "list"], { home: agent })).toBe("");
  });

  test("by the address that holds the code", async () => {
    const agent = await vaultHome();
    const phone = session(
      await vaultHome(),
      "companion",
      "serve",
      "--pair",
      "--listen",
      "127.0.0.1:0",
    );
    await shown(phone);
    const uri = /lango-pair:\/\/[^\s]+/.exec(phone.output)?.[0] ?? "";
    const told = await good(["companion", "pair", "--code-fd", "0"], { home: agent, input: uri });
    expect(told).toMatch(/security\.signer\.rpcUrl https:\/\/127\.0\.0\.1:\d+$/m);
    expect(await good(["companion", "list"], { home: agent })).toMatch(/companion/);
  });

  test("the other way round: the agent waits, and the companion comes", async () => {
    const agent = await vaultHome();
    const companion = await vaultHome();
    const laptop = session(
      agent,
      "companion",
      "pair",
      "--listen",
      "127.0.0.1:0",
      "--name",
      "laptop",
    );
    await expect.poll(() => laptop.output, { timeout: 10_000 }).toMatch(CODE);
    const url = /--url (https:[^\s]+)/.exec(laptop.output)?.[1] ?? "";
    const code = CODE.exec(laptop.output)?.[0] ?? "";
    const args = ["companion", "pair", "--as", "companion", "--url", url, "--code-fd", "0"];
    expect(await good(args, { home: companion, input: code })).toMatch(/agent "laptop"/);
    expect(await laptop.end()).toMatchObject({ exitCode: 0 });
  });

  test("asks on a terminal or takes a descriptor, and shows a code nowhere else", async () => {
    const home = await vaultHome();
    const url = "https://127.0.0.1:1";
    expectOneFault(await lango(["companion", "pair", "--url", url], { home }), 2, /terminal/);
    const listening = ["companion", "pair", "--listen", "127.0.0.1:0"];
    expectOneFault(await lango(listening, { home }), 2, /shown on a terminal/);
    expectOneFault(await lango([...listening, "--url", url], { home }), 2, /use one of them/);
    const serving = ["companion", "serve", "--connect", url, "--pair"];
    expectOneFault(await lango(serving, { home }), 2, /--connect alone|with --connect/);
  });

  test("with nobody there ends at once", async () => {
    const home = await vaultHome();
    const args = ["companion", "pair", "--url", "https://127.0.0.1:1", "--code-fd", "0"];
    const code = "0".repeat(26);
    expectOneFault(await lango(args, { home, input: code }), 7, /cannot be reached: ECONNREFUSED/);
  });
});

describe("paired devices", () => {
  test("are renamed, confirmed and revoked by name, id or fingerprint", async () => {
    const { agent, served } = await paired();
    await served.stop();
    const list = async () =>
      (await langoJson(["companion", "list"], { home: agent })).document.data;
    const [device] = (await list()).devices;
    await good(["companion", "rename", "phone", "Anna's phone"], { home: agent });
    expect((await list()).devices[0].name).toBe("Anna's phone");
    const confirmed = await good(["companion", "confirm", device.id], { home: agent });
    expect(confirmed).toMatch(/not suspended/);
    expectOneFault(
      await lango(["companion", "revoke", "phone", "--yes"], { home: agent }),
      3,
      /phone/,
    );
    const short = device.fingerprint.slice(0, 12);
    await good(["companion", "revoke", short, "--dry-run"], { home: agent });
    await good(["companion", "revoke", short, "--yes"], { home: agent });
    expect((await list()).devices).toEqual([]);
    const found = await lango(["doctor"], { home: agent });
    expect(found.stdout).toMatch(/fault companion +no companion is paired/);
  });

  test("of two with one name, the id is asked for", async () => {
    const companion = await vaultHome();
    for (const agent of [await vaultHome(), await vaultHome()]) {
      const served = await serve(companion, { pair: (code, url) => joinPairing(agent, code, url) });
      await served.see("paired with");
      await served.stop();
    }
    const ran = await lango(["companion", "revoke", "laptop", "--yes"], { home: companion });
    expectOneFault(ran, 9, /2 devices are called laptop/);
  });
});

test("a companion goes to an agent that listens, and comes again when it is back", async () => {
  const { agent, companion, served } = await paired();
  await served.stop();
  const vault = await openVault({
    home: agent,
    unlock: async (slots) => {
      const secret = toPlain(Buffer.from(PASSPHRASE));
      const slotIds = slots.map(({ id }) => id);
      const kind = "passphrase" as const;
      const credential = { kind, source: "test", ambient: false, secret, slotIds };
      return { credential, skipped: [] };
    },
  });
  onTestFinished(() => vault.close());
  const identity = await loadIdentity({ folder: join(agent, "companion/agent"), name: "laptop" });
  let port = 0;
  let visitor: ChildProcess | undefined;
  onTestFinished(() => void visitor?.kill("SIGKILL"));
  for (let round = 0; round < 2; round++) {
    const arrived = Promise.withResolvers<Channel>();
    const listener = createChannelListener({
      ...{ role: "agent", identity, name: "laptop", peers: vault.companions },
      onChannel: arrived.resolve,
    });
    const bound = await listener.listen({ port });
    port = bound.port;
    const args = [
      "companion",
      "serve",
      "--connect",
      `https://127.0.0.1:${port}`,
      "--name",
      "phone",
    ];
    visitor ??= spawn(process.execPath, [...LANGO, ...args], {
      env: environment(companion),
      stdio: "ignore",
    });
    const channel = await arrived.promise;
    expect(await channel.call("status", {})).toEqual({ name: "phone", asks: true, keys: 2 });
    await listener.close();
  }
  visitor?.kill("SIGTERM");
  expect(await once(visitor!, "exit")).toEqual([0, null]);
});

test.each([
  [["--allow", "encrypt"], /encrypt is nothing that can be allowed/],
  [["--allow", "approval.request"], /nothing that can be allowed/],
  [["--wallet", "none"], /no key of that name/],
  [["--listen", "nowhere"], /is no address/],
  [["--listen", "127.0.0.1:70000"], /is no address/],
])("serve refuses %j", async (args, message) => {
  const home = await vaultHome();
  expectOneFault(await lango(["companion", "serve", ...args], { home }), 2, message);
});

test("nobody hears the passphrase", async () => {
  const { served } = await paired();
  expect(served.output()).not.toContain(PASSPHRASE);
});
