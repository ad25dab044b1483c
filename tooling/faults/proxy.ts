import type { Server as NetServer } from "node:net";
import { type Rule, RuleBook, type SeenRequest } from "./fault.ts";
import { grpcProxy } from "./grpc-proxy.ts";
import { httpProxy } from "./http-proxy.ts";

export interface FaultProxyOptions {
  /** The real server, e.g. `http://127.0.0.1:41234`; for gRPC without TLS too. */
  readonly target: string;
  /** What clients speak to the proxy. */
  readonly protocol: "http" | "https" | "grpc";
  /** Certificate and key in PEM to answer HTTPS with. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Certificate in PEM that the target is trusted by, where it speaks HTTPS. */
  readonly targetCa?: string | undefined;
  /**
   * Whether the target's own address in headers and bodies of answers becomes the proxy's (HTTP), for a service whose
   * answers name it. Default: false.
   */
  readonly rewriteAddress?: boolean | undefined;
}

/** A proxy on the loopback address that hands requests on, but for those that a rule strikes. */
export interface FaultProxy {
  /** `http://127.0.0.1:PORT`, `https://127.0.0.1:PORT`; of gRPC `127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Adds a rule. Earlier ones come first; one that is used up is passed over. */
  inject(rule: Rule): void;
  /** Every request since the start or the last `clear`, in order. */
  requests(): readonly SeenRequest[];
  /** Forgets all rules and requests. */
  clear(): void;
  /** Breaks all connections and stops listening. */
  stop(): Promise<void>;
}

/** A server of one protocol that asks the rule book at each request. */
export interface ProxyServer {
  readonly server: NetServer;
  /** Breaks every connection, to clients and to the target. */
  breakAll(): void;
}

/**
 * Starts a proxy in front of a real server. Without a rule it changes nothing but the connection: method, path, headers,
 * body, status and trailers go through as they are (but see `rewriteAddress`). Bodies are read whole before they are handed on.
 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const rules = new RuleBook();
  const { server, breakAll } =
    options.protocol === "grpc" ? grpcProxy(options, rules) : httpProxy(options, rules);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const urls = {
    http: `http://127.0.0.1:${port}`,
    https: `https://127.0.0.1:${port}`,
    grpc: `127.0.0.1:${port}`,
  };
  return {
    url: urls[options.protocol],
    port,
    inject: (rule) => rules.inject(rule),
    requests: () => rules.requests(),
    clear: () => rules.clear(),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        breakAll();
      }),
  };
}
