import http2, {
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { buffer } from "node:stream/consumers";
import type { RuleBook } from "./fault.ts";
import type { FaultProxyOptions, ProxyServer } from "./proxy.ts";
import { inPieces, pause } from "./slow.ts";

interface Answer {
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
  /** Absent where the status is in the headers already. */
  readonly trailers?: OutgoingHttpHeaders;
}

/** A gRPC message is a byte for compression, four for the length, and the message. */
const FRAME_BYTES = 5;

/** gRPC over HTTP/2 without TLS: unary calls, as the services' clients make them. */
export function grpcProxy({ target }: FaultProxyOptions, rules: RuleBook): ProxyServer {
  const clients = new Set<ServerHttp2Session>();
  let upstream: ClientHttp2Session | undefined;
  const toTarget = (): ClientHttp2Session => {
    if (upstream === undefined || upstream.closed || upstream.destroyed) {
      const authority = target.replace(/^(?:grpc:\/\/)?(?=[^/]+$)/, "http://");
      upstream = http2.connect(authority);
      // What it means for a call, the call itself reports.
      upstream.on("error", () => {});
    }
    return upstream;
  };

  const server = http2.createServer();
  server.on("session", (session) => {
    clients.add(session);
    session.on("error", () => {});
    session.on("close", () => clients.delete(session));
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    handle(toTarget, rules, stream, headers).catch(() => stream.session?.destroy());
  });
  return {
    server,
    breakAll: () => {
      for (const session of clients) session.destroy();
      upstream?.destroy();
    },
  };
}

async function handle(
  toTarget: () => ClientHttp2Session,
  rules: RuleBook,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): Promise<void> {
  const gone = new AbortController();
  stream.once("close", () => gone.abort());
  const body = await buffer(stream);
  const { ":method": method = "POST", ":path": path = "" } = headers;
  const fault = rules.take({ method, path, headers, body });
  const answer = (): Promise<Answer> => forward(toTarget(), headers, body);

  switch (fault?.kind) {
    case undefined:
      return send(stream, await answer());
    case "status":
      return send(stream, {
        headers: {
          ":status": 200,
          "content-type": "application/grpc",
          "grpc-status": String(fault.code),
          "grpc-message": encodeURI(fault.message),
        },
        body: Buffer.alloc(0),
      });
    case "reset":
      if (fault.after === "the work") await answer();
      stream.session?.destroy();
      return;
    case "silence":
      if (fault.after === "the work") await answer();
      return;
    case "alter": {
      const real = await answer();
      return send(stream, { ...real, body: framed(fault.change(real.body.subarray(FRAME_BYTES))) });
    }
    case "slow": {
      const real = await answer();
      if (fault.part === "all") {
        await pause(fault.ms, gone.signal);
        return send(stream, real);
      }
      begin(stream, real);
      for await (const piece of inPieces(real.body, fault.ms, gone.signal)) stream.write(piece);
      stream.end();
      return;
    }
    default:
      throw new Error(`gRPC knows no fault "${fault?.kind}"`);
  }
}

/** Asks the target; the session is shared, since a call is a stream of its own. */
function forward(
  session: ClientHttp2Session,
  headers: IncomingHttpHeaders,
  body: Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = session.request({ ...headers });
    let answered: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders | undefined;
    sent.once("response", (headers) => {
      answered = headers;
    });
    sent.once("trailers", (headers) => {
      trailers = headers;
    });
    buffer(sent).then(
      (body) => resolve({ headers: answered, body, ...(trailers !== undefined && { trailers }) }),
      reject,
    );
    sent.end(body);
  });
}

const begin = (stream: ServerHttp2Stream, { headers, trailers }: Answer): void => {
  if (trailers !== undefined) stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  stream.respond(headers, { waitForTrailers: trailers !== undefined });
};

const send = (stream: ServerHttp2Stream, answer: Answer): void => {
  // A status alone is one block of headers that ends the stream: clients look for it nowhere else.
  if (answer.trailers === undefined && answer.body.length === 0) {
    stream.respond(answer.headers, { endStream: true });
    return;
  }
  begin(stream, answer);
  stream.end(answer.body);
};

const framed = (message: Buffer): Buffer => {
  const head = Buffer.alloc(FRAME_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};
