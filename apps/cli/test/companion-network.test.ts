import { createPublicKey, verify } from "node:crypto";
import { expect, test } from "vitest";
import { said } from "../../../tooling/services/avahi.ts";
import { type Host, withTwoHosts } from "../../../tooling/services/netns.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { good } from "./provider-support.ts";
import { environment, LANGO, vaultHome } from "./support.ts";

const on = (host: Host, home: string, ...args: string[]) =>
  host.start(process.execPath, [...LANGO, ...args], { env: environment(home) });

/** Runs lango on a host to its end, and expects that all goes well. */
async function goodOn(host: Host, home: string, args: string[], input = ""): Promise<string> {
  const program = on(host, home, ...args);
  program.stdin.end(input);
  const { status } = await program.ended;
  expect(status, program.output()).toBe(0);
  return program.output();
}

test("two machines find each other without an address, pair and sign", async () => {
  requireService("netns");
  const [agent, companion] = [await vaultHome(), await vaultHome()];
  await good(["keys", "create", "release", "--type", "signing", "--algorithm", "ed25519"], {
    home: companion,
  });
  await withTwoHosts(async ({ a, b }) => {
    const serving = ["companion", "serve", "--pair", "--code-fd", "1", "--name", "phone"];
    const phone = on(b, companion, ...serving, "--allow", "sign");
    let code = "";
    phone.stdout.on("data", (chunk) => {
      code += chunk;
    });
    await expect.poll(() => code, { timeout: 20_000 }).toMatch(/^\S{30}\n$/);
    const pairing = ["companion", "pair", "--name", "laptop", "--code-fd", "0"];
    const told = await goodOn(a, agent, pairing, code);
    expect(told).toMatch(/^found "phone [0-9a-f]{12}"$/m);
    expect(told).toMatch(/^paired with the companion "phone"/m);
    await said(phone, 'paired with the agent "laptop"');

    await good(["settings", "set", "security.signer.provider", "rpc"], { home: agent });
    const sign = ["--quiet", "crypto", "sign", "--key", "rpc:release", "--base64"];
    const signature = Buffer.from(await goodOn(a, agent, sign, "message"), "base64");
    const pem = await good(["keys", "public-key", "release"], { home: companion });
    expect(verify(null, Buffer.from("message"), createPublicKey(pem), signature)).toBe(true);

    phone.kill();
    expect(await phone.ended).toEqual({ status: 0, signal: null });
    const alone = on(a, agent, ...sign);
    alone.stdin.end("message");
    expect(await alone.ended).toMatchObject({ status: 7 });
    expect(alone.output()).toContain("No companion was found on the local network");
    expect(alone.output()).toContain("security.signer.rpcUrl");
  });
});
