import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect as connectTls, createSecureContext } from "node:tls";
import type { Identity } from "../../src/pairing/identity.ts";
import { type Attack, pin } from "./attack.ts";
import { attackTls, connectAs, readToEnd, upgradeAs } from "./attacker.ts";
import { forge } from "./certificates.ts";
import { makeIdentity, peerOf } from "./devices.ts";

const HOUR_MS = 3_600_000;

const tlsOf = (identity: Identity): ConnectionOptions => ({
  key: identity.privateKeyPem,
  cert: identity.certificatePem,
  minVersion: "TLSv1.3",
});

/** With the key of the attacker's own choice. */
export const STRANGERS: readonly Attack[] = [
  {
    attempt: "no certificate",
    sees: "closed",
    run: ({ port }) => attackTls(port, { minVersion: "TLSv1.3" }),
  },
  {
    attempt: "the certificate of a device that is not paired",
    sees: "closed",
    run: async ({ port }) => attackTls(port, tlsOf(await makeIdentity("stranger"))),
  },
  {
    attempt: "a certificate with name, serial number and dates of the paired one, and another key",
    sees: "closed",
    run: async ({ port, agent }) => attackTls(port, tlsOf(await forge({ like: agent }))),
  },
  {
    attempt: "the certificate of the paired device with another key",
    sees: "no TLS library takes it: ERR_OSSL_X509_KEY_VALUES_MISMATCH",
    run: async ({ agent }) => {
      const { privateKeyPem: key } = await makeIdentity("thief");
      try {
        createSecureContext({ key, cert: agent.certificatePem });
        return "taken";
      } catch (error) {
        return `no TLS library takes it: ${(error as NodeJS.ErrnoException).code}`;
      }
    },
  },
  {
    attempt: "an expired certificate of a paired key",
    sees: "closed",
    run: async ({ port, peers }) => {
      const expired = await forge({ notAfter: Date.now() - HOUR_MS, notBefore: 0 });
      pin(peers, expired);
      return attackTls(port, tlsOf(expired));
    },
  },
  {
    attempt: "a certificate of a paired key that is not valid yet",
    sees: "closed",
    run: async ({ port, peers }) => {
      const early = await forge({ notBefore: Date.now() + HOUR_MS });
      pin(peers, early);
      return attackTls(port, tlsOf(early));
    },
  },
  {
    attempt: "a paired device whose pin was changed",
    sees: "closed",
    run: async ({ port, agent, peers }) => {
      const next = await makeIdentity("next");
      await peers.replacePin(peerOf(agent, "agent").id, next.fingerprint);
      const seen = await attackTls(port, tlsOf(agent));
      peers.pins.set(agent.fingerprint, peerOf(agent, "agent"));
      return seen;
    },
  },
  {
    attempt: "a revoked device",
    sees: "closed",
    run: async ({ port, agent, peers }) => {
      peers.pins.delete(agent.fingerprint);
      const seen = await attackTls(port, tlsOf(agent));
      pin(peers, agent);
      return seen;
    },
  },
  {
    attempt: "a device that is suspended after a restore",
    sees: "closed",
    run: async ({ port, peers }) => {
      const restored = await makeIdentity("restored");
      pin(peers, restored, { state: "suspended" });
      return attackTls(port, tlsOf(restored));
    },
  },
  {
    attempt: "a paired companion that asks as if it were an agent",
    sees: "closed",
    run: async ({ port, peers }) => {
      const other = await makeIdentity("other companion");
      pin(peers, other, { role: "companion" });
      return attackTls(port, tlsOf(other));
    },
  },
  ...(["RSA", "P-384"] as const).map(
    (kind): Attack => ({
      attempt: `a pinned ${kind} key`,
      sees: "closed",
      run: async ({ port, peers }) => {
        const forged = await forge({ kind });
        pin(peers, forged);
        return attackTls(port, tlsOf(forged));
      },
    }),
  ),
  {
    attempt: "TLS 1.2",
    sees: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    run: ({ port, agent }) =>
      attackTls(port, { ...tlsOf(agent), minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }),
  },
  {
    attempt: "plaintext ws://",
    sees: "closed",
    run: async ({ port }) => {
      const socket = connectTcp(port, "127.0.0.1");
      socket.write("GET /companion HTTP/1.1\r\nHost: companion\r\n\r\n");
      // OpenSSL says once, in TLS, that this was none.
      const seen = await readToEnd(socket);
      return seen.startsWith("HTTP") ? seen : "closed";
    },
  },
  {
    attempt: "a resumed session",
    sees: "a whole handshake: nothing is resumed",
    run: async ({ port, agent }) => {
      const tls = { host: "127.0.0.1", port, rejectUnauthorized: false, ...tlsOf(agent) };
      const first = connectTls(tls);
      // OpenSSL hands out a name of a session, which the listener does not keep.
      const [session] = (await once(first, "session")) as [Buffer];
      first.destroy();
      const second = connectTls({ ...tls, session });
      await once(second, "secureConnect");
      const isReused = second.isSessionReused();
      second.destroy();
      return isReused ? "resumed" : "a whole handshake: nothing is resumed";
    },
  },
  {
    attempt: "slow-loris in TLS",
    sees: "closed",
    run: async ({ port }) => {
      const socket = connectTcp(port, "127.0.0.1");
      // The head of a record that never comes.
      socket.write(Uint8Array.of(0x16, 3, 1, 2, 0));
      return readToEnd(socket);
    },
  },
  {
    attempt: "slow-loris in the upgrade",
    sees: "closed",
    run: async ({ port, agent }) => {
      const socket = await connectAs(port, agent);
      socket.write("GET /companion HTTP/1.1\r\n");
      const drip = setInterval(() => socket.write("X-More: 1\r\n"), 50);
      const seen = await readToEnd(socket);
      clearInterval(drip);
      return seen;
    },
  },
  {
    attempt: "slow-loris in the hello",
    sees: "1006",
    run: async ({ port, agent }) => (await upgradeAs(port, agent)).closed,
  },
];
