import { once } from "node:events";
import { createServer } from "node:https";
import { connect, type TlsOptions } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { createChannelListener } from "../src/channel/listener.ts";
import { tlsOptionsOf } from "../src/channel/trust.ts";
import { attackTls } from "./support/attacker.ts";
import { forge } from "./support/certificates.ts";
import { closeAll, closeLater, signs, until } from "./support/channels.ts";
import { makePair, peerOf } from "./support/devices.ts";

afterEach(closeAll);

/** A listener in a server of others, who changed what TLS takes. */
const mount = async (changes: TlsOptions) => {
  const { agent, companion } = await makePair();
  const listener = createChannelListener({ role: "companion", ...companion, handler: signs });
  const server = createServer({ ...listener.tlsOptions, ...changes });
  server.on("upgrade", listener.handleUpgrade);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closeLater(async () => {
    await listener.close();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as { port: number };
  return { port, agent: agent.identity, peers: companion.peers };
};

test("a server that takes TLS 1.2: its connections are no channels", async () => {
  const { port, agent } = await mount({ minVersion: "TLSv1.2" });
  const old = { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } as const;
  expect(await attackTls(port, { ...tlsOptionsOf(agent), ...old })).toBe("closed");
});

test("a server that resumes sessions: those are no channels", async () => {
  const { port, agent } = await mount({ secureOptions: 0 });
  const options = { ...tlsOptionsOf(agent), secureOptions: 0 };
  const first = connect({ host: "127.0.0.1", port, ...options });
  const [session] = await once(first, "session");
  first.destroy();
  const second = connect({ host: "127.0.0.1", port, ...options, session });
  await once(second, "secureConnect");
  expect(second.isSessionReused()).toBe(true);
  second.destroy();
  expect(await attackTls(port, { ...options, session })).toBe("closed");
});

test("a server that takes other curves: a pinned P-384 key has no channel", async () => {
  const { port, peers } = await mount({ sigalgs: "ecdsa_secp384r1_sha384:ecdsa_secp256r1_sha256" });
  const { privateKeyPem: key, certificatePem: cert, ...other } = await forge({ kind: "P-384" });
  const identity = { ...other, privateKeyPem: key, certificatePem: cert };
  peers.pins.set(identity.fingerprint, peerOf(identity, "agent"));
  expect(await attackTls(port, { key, cert, ALPNProtocols: ["http/1.1"] })).toBe("closed");
});

test("its own server takes no signatures but of P-256, before it looks at a certificate", async () => {
  const { agent, companion } = await makePair();
  const reasons: string[] = [];
  const listener = createChannelListener({
    role: "companion",
    ...companion,
    handler: signs,
    onEvent: (event) => "reason" in event && reasons.push(event.reason),
  });
  closeLater(() => listener.close());
  const { port } = await listener.listen();
  const { privateKeyPem: key, certificatePem: cert } = await forge({
    kind: "P-384",
    like: agent.identity,
  });
  expect(await attackTls(port, { key, cert })).toBe("closed");
  await until(() => reasons.length > 0);
  // Its TLS has no use for that certificate, and shows none.
  expect(reasons).toEqual(["The other side showed no certificate"]);
});
