import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createKeyStore, type KeyStore } from "./key-store.ts";
import { route } from "./routes.ts";
import { ServiceError } from "./service-error.ts";
import type { Certificate } from "./tls.ts";

/** A request that the stand-in got. Tokens are not kept. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Something to go wrong. */
export interface Fault {
  /** Requests that it strikes, by their path. Default: all of the vault, none of the token endpoint. */
  readonly path?: RegExp;
  /** How many requests. Default: 1. */
  readonly times?: number;
  /** Answered in the place of the real answer; `reset` breaks the connection. */
  readonly answer?:
    | "reset"
    | {
        readonly status: number;
        readonly headers?: Record<string, string>;
        readonly body?: unknown;
      };
  /** Milliseconds before the answer. */
  readonly delayMs?: number;
  /** Changes the right answer. */
  readonly change?: (body: Record<string, unknown>) => unknown;
}

export interface StandIn {
  /** `https://127.0.0.1:PORT`, or the `origin` that was given. */
  readonly url: string;
  readonly port: number;
  readonly store: KeyStore;
  readonly requests: readonly Received[];
  inject(fault: Fault): void;
  /** Takes back the faults that have struck nothing yet: a call that was given up may never have arrived. */
  calm(): void;
  /** No token that was given out is good any more. */
  revokeTokens(): void;
  /** A token as the token endpoint gives. */
  issueToken(): string;
  stop(): Promise<void>;
}

export interface StandInOptions {
  readonly certificate: Certificate;
  readonly managedHsm?: boolean;
  /** A token that is always good. */
  readonly token?: string;
  readonly port?: number;
  /** The vault's URL where a proxy leads to the stand-in under the service's own name. Default: its address. */
  readonly origin?: string;
  /** Where tokens come from. Default: the vault's URL, whose server has a token endpoint too. */
  readonly authority?: string;
}

/** The application that may ask the stand-in for tokens. */
export const CLIENT = {
  tenant: "11111111-2222-3333-4444-555555555555",
  id: "66666666-7777-8888-9999-000000000000",
  secret: "secret-of-the-stand-in",
};
const RESOURCE = "https://vault.azure.net";

/** Starts the stand-in for Key Vault on a free port of 127.0.0.1. */
export async function startStandIn({
  certificate,
  managedHsm = false,
  token,
  port = 0,
  ...known
}: StandInOptions): Promise<StandIn> {
  const store = createKeyStore(managedHsm);
  const requests: Received[] = [];
  const faults: { fault: Fault; left: number }[] = [];
  const tokens = new Set<string>();
  let url = "";
  let authority = "";

  const strike = (path: string): Fault | undefined => {
    const found = faults.find(
      ({ fault, left }) => left > 0 && (fault.path ?? /^\/(?:deleted)?keys|^\/rng/).test(path),
    );
    if (found !== undefined) found.left--;
    return found?.fault;
  };

  const issueToken = (): string => {
    const made = randomBytes(24).toString("base64url");
    tokens.add(made);
    return made;
  };

  const issue = (form: URLSearchParams): Answer => {
    const known =
      form.get("client_id") === CLIENT.id && form.get("client_secret") === CLIENT.secret;
    if (!known || form.get("scope")?.split(" ").includes(`${RESOURCE}/.default`) !== true) {
      const error_description = "AADSTS7000215: Invalid client secret provided.";
      return { status: 401, body: { error: "invalid_client", error_description } };
    }
    return {
      status: 200,
      body: { token_type: "Bearer", expires_in: 3600, access_token: issueToken() },
    };
  };

  const answerTo = async (request: IncomingMessage, text: string): Promise<Answer> => {
    const { pathname, searchParams } = new URL(request.url ?? "/", url);
    if (pathname.endsWith("/oauth2/v2.0/token")) return issue(new URLSearchParams(text));
    if (pathname.endsWith("/.well-known/openid-configuration")) {
      return { status: 200, body: openIdConfiguration(`${authority}/${CLIENT.tenant}`) };
    }
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (bearer === undefined || (bearer !== token && !tokens.has(bearer))) {
      const challenge = `Bearer authorization="${authority}/${CLIENT.tenant}", resource="${RESOURCE}"`;
      const error = new ServiceError(
        401,
        "Unauthorized",
        "AKV10000: Request is missing a Bearer or PoP token.",
      );
      return { status: 401, headers: { "WWW-Authenticate": challenge }, body: error.body() };
    }
    const body = text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
    const method = request.method ?? "";
    requests.push({ method, path: pathname, body });
    const fault = strike(pathname);
    if (fault?.delayMs !== undefined) await sleep(fault.delayMs);
    if (fault?.answer === "reset") {
      request.socket.destroy();
      return { status: 0 };
    }
    if (fault?.answer !== undefined) return fault.answer;
    const result = await route({ store, url, managedHsm, method, pathname, searchParams, body });
    if (result === undefined) return { status: 204 };
    return { status: 200, body: fault?.change ? fault.change(result) : result };
  };

  const server = createServer({ ...certificate }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      answerTo(request, Buffer.concat(chunks).toString())
        .catch((error: unknown): Answer => {
          if (error instanceof ServiceError) return { status: error.status, body: error.body() };
          return {
            status: 500,
            body: { error: { code: "InternalServerError", message: String(error) } },
          };
        })
        .then((answer) => send(response, answer))
        .catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { port: bound } = server.address() as AddressInfo;
  url = known.origin ?? `https://127.0.0.1:${bound}`;
  authority = known.authority ?? url;

  return {
    url,
    port: bound,
    store,
    requests,
    inject: (fault) => void faults.push({ fault, left: fault.times ?? 1 }),
    calm: () => void faults.splice(0),
    revokeTokens: () => tokens.clear(),
    issueToken,
    stop: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

function send(response: ServerResponse, { status, headers = {}, body }: Answer): void {
  if (status === 0) return;
  if (status === 204) {
    response.writeHead(status, headers).end();
    return;
  }
  const text = typeof body === "string" ? body : JSON.stringify(body ?? {});
  response.writeHead(status, { "Content-Type": "application/json; charset=utf-8", ...headers });
  response.end(text);
}

const openIdConfiguration = (authority: string): object => ({
  issuer: `${authority}/v2.0`,
  authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
  token_endpoint: `${authority}/oauth2/v2.0/token`,
  jwks_uri: `${authority}/discovery/v2.0/keys`,
});
