/** A request as the proxy saw it. */
export interface SeenRequest {
  /** `POST`; also for every gRPC call. */
  readonly method: string;
  /** With the query, e.g. `/google.cloud.kms.v1.KeyManagementService/Encrypt`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** Whether the service got it, and so may have done the work. */
  readonly forwarded: boolean;
}

/** What happens to a request instead of the service's answer, or to the answer. */
export type Fault =
  /** The proxy answers in the place of the service (HTTP). */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The proxy ends the call with a status in the trailers, or in the only header block, as servers do (gRPC). */
  | { readonly kind: "status"; readonly code: number; readonly message: string }
  /** The connection breaks, before the service got the request or after it did the work. */
  | { readonly kind: "reset"; readonly after: "nothing" | "the work" }
  /** No answer ever comes; the connection stays. */
  | { readonly kind: "silence"; readonly after: "nothing" | "the work" }
  /** The answer comes late as a whole, or at once but its body in pieces over `ms`. */
  | { readonly kind: "slow"; readonly ms: number; readonly part: "all" | "body" }
  /** The answer with another body; of gRPC, the message without its frame. */
  | { readonly kind: "alter"; readonly change: (body: Buffer) => Buffer };

export interface Rule {
  /** Which requests. Default: all. */
  readonly match?: ((request: SeenRequest) => boolean) | undefined;
  /** How many requests it strikes before it is used up. Default: 1. */
  readonly times?: number | undefined;
  readonly fault: Fault;
}

/** The rules of a proxy and the requests it has seen. */
export class RuleBook {
  readonly #rules: { rule: Rule; left: number }[] = [];
  readonly #seen: SeenRequest[] = [];

  inject(rule: Rule): void {
    this.#rules.push({ rule, left: rule.times ?? 1 });
  }

  /** Notes a request and takes the first rule that it falls under. */
  take(request: Omit<SeenRequest, "forwarded">): Fault | undefined {
    const candidate: SeenRequest = { ...request, forwarded: true };
    const entry = this.#rules.find(
      ({ rule, left }) => left > 0 && (rule.match?.(candidate) ?? true),
    );
    const fault = entry?.rule.fault;
    if (entry !== undefined) entry.left -= 1;
    this.#seen.push({ ...candidate, forwarded: reachesService(fault) });
    return fault;
  }

  requests(): readonly SeenRequest[] {
    return [...this.#seen];
  }

  clear(): void {
    this.#rules.length = 0;
    this.#seen.length = 0;
  }
}

const reachesService = (fault: Fault | undefined): boolean => {
  switch (fault?.kind) {
    case "answer":
    case "status":
      return false;
    case "reset":
    case "silence":
      return fault.after === "the work";
    default:
      return true;
  }
};

/** The answer of a JSON service with some of its fields changed. */
export const alteredJson = (
  change: (answer: Record<string, unknown>) => Record<string, unknown>,
): Fault => ({
  kind: "alter",
  change: (body) => Buffer.from(JSON.stringify(change(JSON.parse(body.toString("utf8"))))),
});
