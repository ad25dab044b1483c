import http, {
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from "node:http";
import https from "node:https";
import { buffer } from "node:stream/consumers";
import type { RuleBook } from "./fault.ts";
import type { FaultProxyOptions, ProxyServer } from "./proxy.ts";
import { inPieces, pause } from "./slow.ts";

interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/** HTTP/1.1, with or without TLS. */
export function httpProxy(options: FaultProxyOptions, rules: RuleBook): ProxyServer {
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    // Either side may go away at any moment: the other one has to see it.
    handle(options, rules, request, response).catch(() => breakConnection(request));
  };
  const server =
    options.tls === undefined
      ? http.createServer(onRequest)
      : https.createServer(options.tls, onRequest);
  return { server, breakAll: () => server.closeAllConnections() };
}

async function handle(
  options: FaultProxyOptions,
  rules: RuleBook,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const { method = "GET", url: path = "/", headers } = request;
  const body = await buffer(request);
  const fault = rules.take({ method, path, headers, body });
  const answer = async (): Promise<Answer> => {
    const real = await forward(options, { method, path, headers }, body);
    if (options.rewriteAddress !== true) return real;
    const scheme = options.tls === undefined ? "http" : "https";
    return rewritten(real, new URL(options.target).origin, `${scheme}://${headers.host}`);
  };

  switch (fault?.kind) {
    case undefined:
      return send(response, await answer());
    case "answer":
      return send(response, {
        status: fault.status,
        headers: { ...fault.headers },
        body: Buffer.from(fault.body ?? ""),
      });
    case "reset":
      if (fault.after === "the work") await answer();
      return breakConnection(request);
    case "silence":
      if (fault.after === "the work") await answer();
      return;
    case "alter": {
      const real = await answer();
      return send(response, { ...real, body: fault.change(real.body) });
    }
    case "slow": {
      const { status, headers, body } = await answer();
      if (fault.part === "all") {
        await pause(fault.ms, gone.signal);
        return send(response, { status, headers, body });
      }
      response.writeHead(status, withLength(headers, body)).flushHeaders();
      for await (const piece of inPieces(body, fault.ms, gone.signal)) response.write(piece);
      response.end();
      return;
    }
    default:
      throw new Error(`HTTP/1.1 knows no fault "${fault?.kind}"`);
  }
}

/** Asks the target, each time over a connection of its own, so that no fault of pooling mixes in. */
function forward(
  { target, targetCa }: FaultProxyOptions,
  request: { readonly method: string; readonly path: string; headers: http.IncomingHttpHeaders },
  body: Buffer,
): Promise<Answer> {
  const url = new URL(request.path, target);
  const { request: ask } = url.protocol === "https:" ? https : http;
  return new Promise((resolve, reject) => {
    const sent = ask(url, {
      method: request.method,
      headers: { ...request.headers, connection: "close" },
      agent: false,
      ...(targetCa !== undefined && { ca: targetCa }),
    });
    sent.once("error", reject);
    sent.once("response", (answer) => {
      const { statusCode: status = 502, headers } = answer;
      buffer(answer).then((body) => resolve({ status, headers, body }), reject);
    });
    sent.end(body);
  });
}

const rewritten = ({ status, headers, body }: Answer, from: string, to: string): Answer => ({
  status,
  headers: JSON.parse(JSON.stringify(headers).replaceAll(from, to)),
  body: Buffer.from(body.toString("utf8").replaceAll(from, to)),
});

const send = (response: ServerResponse, { status, headers, body }: Answer): void => {
  response.writeHead(status, withLength(headers, body)).end(body);
};

/** The headers for a body that is sent as one piece of known length. */
const withLength = (headers: OutgoingHttpHeaders, body: Buffer): OutgoingHttpHeaders => {
  const { "transfer-encoding": _, connection: __, ...rest } = headers;
  return { ...rest, "content-length": body.length };
};

/** A reset where the connection is bare TCP; under TLS an end without a goodbye. */
const breakConnection = ({ socket }: IncomingMessage): void => {
  if ("encrypted" in socket) socket.destroy();
  else socket.resetAndDestroy();
};
