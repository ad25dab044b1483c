import { utf8 } from "@lango/crypto-core";
import { createScanner } from "@lango/guard";
import { describe, expect, test } from "vitest";
import { McpClient } from "./mcp-client.ts";
import {
  environment,
  expectOneFault,
  fileWith,
  LANGO,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

describe("mcp serve", () => {
  test("gives nothing out while Presidio does not answer, unless the patterns are to do", async () => {
    const home = await vaultHome();
    const set = (setting: string, value: string) =>
      lango(["settings", "set", `security.interceptor.${setting}`, value], { home });
    await set("redactPii", "true");
    // Nobody listens on the port of discard.
    await set("presidio.url", "http://localhost:9");
    expect((await set("presidio.enabled", "true")).code).toBe(0);
    // An error: what the list says is exact, and passes no detector.
    const failing = async () => {
      const client = new McpClient(home);
      await client.open();
      const { structuredContent } = await client.call("secrets_delete", { name: "api/key" });
      client.child.stdin.end();
      await client.ended;
      return { structuredContent, stderr: client.stderr };
    };
    const withheld = await failing();
    expect(withheld.structuredContent.error).toMatchObject({ code: "ERR_UNAVAILABLE" });
    expect((await set("presidio.onFailure", "patterns")).code).toBe(0);
    const given = await failing();
    expect(given.structuredContent.error).toMatchObject({ code: "ERR_DENIED" });
    expect(given.stderr).toContain("the patterns alone had to do");
  });

  test("serves the tools, stdout has the protocol alone, and the audit knows the agent", async () => {
    const home = await vaultHome();
    const client = new McpClient(home);
    const opened = await client.open();
    expect(opened.result.serverInfo.name).toBe("lango");
    expect(opened.result.instructions).toContain("secrets_get");
    const { tools } = (await client.request("tools/list", {})).result;
    expect(tools.length).toBe(11);
    const list = await client.call("secrets_list");
    expect(list.structuredContent).toMatchObject({ count: 1, secrets: [{ name: "api/key" }] });
    const sealed = await client.call("crypto_encrypt", { data: `the key is ${SECRET}` });
    const opening = { data: sealed.structuredContent.ciphertext };
    const decrypted = await client.call("crypto_decrypt", opening);
    expect(decrypted.structuredContent.reference).toMatch(/^\{\{decrypt:/);
    // Nobody can be asked: denied at once.
    for (const [name, args] of [
      ["secrets_get", { name: "api/key" }],
      ["secrets_delete", { name: "api/key" }],
      ["crypto_decrypt", { ...opening, output: "plaintext" }],
    ] as const) {
      const denied = await client.call(name, args);
      expect(denied.structuredContent.error.code, name).toBe("ERR_DENIED");
    }
    client.child.stdin.end();
    expect(await client.ended).toEqual({ code: 0, signal: null });
    for (const line of client.stdout.trimEnd().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({ jsonrpc: "2.0" });
    }
    const scanner = await createScanner({ secrets: [{ name: "s", value: utf8(SECRET) }] });
    expect(scanner.scan(utf8(client.stdout + client.stderr)).findings).toEqual([]);
    expect(client.stderr.trimEnd().split("\n")).toHaveLength(1);
    const { document } = await langoJson(["audit", "tail", "-n", "50"], { home });
    const actions = document.data.events.map(({ action }: { action: string }) => action);
    expect(actions).toContain("secret.load");
    expect(actions).toContain("approval.deny");
    expect((await lango(["audit", "verify", "--rows"], { home })).code).toBe(0);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it cleanly", async (signal) => {
    const home = await vaultHome();
    const client = new McpClient(home);
    await client.open();
    client.child.kill(signal);
    expect(await client.ended).toEqual({ code: 0, signal: null });
    expect((await lango(["audit", "verify", "--rows"], { home })).code).toBe(0);
  });

  test("never takes the passphrase from stdin, and asks nobody", async () => {
    const home = await vaultHome();
    const env = { LANGO_PASSPHRASE: undefined };
    const input = `${PASSPHRASE}\n`;
    expectOneFault(await lango(["mcp", "serve"], { home, env, input }), 4, /locked/);
    for (const option of [["--passphrase-fd", "0"], ["--passphrase-stdin"]]) {
      const ran = await lango(["mcp", "serve", ...option], { home, env, input });
      expect(ran.code, ran.stderr).not.toBe(0);
      expect(ran.stdout).toBe("");
    }
    const terminal = new Terminal(
      process.execPath,
      [...LANGO, "mcp", "serve"],
      environment(home, env),
    );
    expect(await terminal.end()).toMatchObject({ exitCode: 4 });
    expect(terminal.output).not.toContain("Enter encryption passphrase");
  });

  test("says what it cannot keep an agent from, once, by how the vault was opened", async () => {
    const home = await vaultHome();
    const env = { LANGO_PASSPHRASE: undefined };
    const file = fileWith(PASSPHRASE, "passphrase");
    const given = new McpClient(home, ["--passphrase-file", file], env);
    await given.open();
    given.child.stdin.end();
    await given.ended;
    expect(given.stderr).toMatch(/references to secrets, never values/);
    const keyfile = await lango(["mcp", "serve"], {
      home,
      env: { ...env, LANGO_KEYFILE: file },
    });
    expect(keyfile.code, keyfile.stderr).toBe(0);
    expect(keyfile.stderr).toMatch(/^warning: the vault was opened by .*keyfile.*another user/i);
    expect(keyfile.stdout).toBe("");
  });

  test("prints what a client's configuration needs, without opening anything", async () => {
    const home = "/nowhere/at/all";
    const run = (client: string) =>
      lango(["mcp", "serve", "--print-config", client, "--home", home], {});
    for (const client of ["claude-code", "cursor"]) {
      expect(JSON.parse((await run(client)).stdout)).toEqual({
        mcpServers: { lango: { command: "lango", args: ["mcp", "serve", "--home", home] } },
      });
    }
    expect((await run("codex")).stdout).toBe(
      `[mcp_servers.lango]\ncommand = "lango"\nargs = ["mcp","serve","--home","${home}"]\n`,
    );
  });
});
