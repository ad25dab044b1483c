// Of node:net and node:dns: the connection was not made, or broke.
const NETWORK =
  /^(?:ECONN\w+|ETIMEDOUT|EPIPE|EPROTO|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
// Of node:tls and OpenSSL: whoever answered is not the service.
const TLS = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/**
 * What the `code` of an error of Node says about a connection: `unreachable`, there was none or it broke; `untrusted`, the
 * certificate or the handshake of whoever answered does not do, and no retry mends that. `undefined` for anything else.
 */
export const connectionFault = (code: unknown): "unreachable" | "untrusted" | undefined => {
  if (typeof code !== "string") return undefined;
  if (NETWORK.test(code)) return "unreachable";
  return TLS.test(code) ? "untrusted" : undefined;
};
