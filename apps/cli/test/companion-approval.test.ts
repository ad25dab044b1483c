import { describe, expect, test } from "vitest";
import { joinPairing } from "./companion-support.ts";
import { McpClient } from "./mcp-client.ts";
import { good } from "./provider-support.ts";
import { environment, LANGO, langoJson, vaultHome } from "./support.ts";
import { Terminal } from "./terminal.ts";

const CODE = /[0-7][0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{5,6}){4}/;

/** A companion on a terminal, paired with a new home; the person at it is the test. */
async function pairedTerminal(): Promise<{ readonly agent: string; readonly terminal: Terminal }> {
  const [agent, companion] = [await vaultHome(), await vaultHome()];
  const words = ["companion", "serve", "--pair", "--listen", "127.0.0.1:0", "--no-advertise"];
  const terminal = new Terminal(process.execPath, [...LANGO, ...words], environment(companion));
  await terminal.see("listens at https://");
  await expect.poll(() => terminal.output, { timeout: 10_000 }).toMatch(CODE);
  const url = /listens at (https:[^\s]+)/.exec(terminal.output)?.[1] ?? "";
  await joinPairing(agent, CODE.exec(terminal.output)?.[0] ?? "", url);
  await terminal.see("paired with the agent");
  await good(["settings", "set", "security.signer.rpcUrl", url], { home: agent });
  return { agent, terminal };
}

const actionsOf = async (home: string): Promise<string[]> => {
  const { document } = await langoJson(["audit", "tail", "-n", "50"], { home });
  return document.data.events.map(({ action }: { action: string }) => action);
};

describe("an agent's dangerous request", () => {
  test.each([
    ["yes", "approval.approve"],
    ["no", "approval.deny"],
  ])("is asked on the companion's terminal; %s there is the answer", async (typed, action) => {
    const { agent, terminal } = await pairedTerminal();
    const client = new McpClient(agent);
    await client.open();
    const answer = client.call("secrets_delete", { name: "api/key" });
    await terminal.see("Secret: api/key");
    await terminal.see('Type "yes" to allow it');
    terminal.type(`${typed}\r`);
    const { structuredContent } = await answer;
    if (typed === "yes") expect(structuredContent).not.toHaveProperty("error");
    else expect(structuredContent.error.code).toBe("ERR_DENIED");
    client.child.stdin.end();
    expect(await client.ended).toEqual({ code: 0, signal: null });
    expect(await actionsOf(agent)).toContain(action);
    const left = await langoJson(["security", "secrets", "list"], { home: agent });
    expect(left.document.data.secrets).toHaveLength(typed === "yes" ? 0 : 1);
  });

  test("is denied at once when the companion is away", async () => {
    const { agent, terminal } = await pairedTerminal();
    terminal.type("\x03");
    await terminal.end();
    const client = new McpClient(agent);
    await client.open();
    const startedAt = performance.now();
    const { structuredContent } = await client.call("secrets_delete", { name: "api/key" });
    expect(structuredContent.error.code).toBe("ERR_DENIED");
    // Far from the 30 s that a request may be open.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});
