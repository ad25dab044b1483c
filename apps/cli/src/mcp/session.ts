import { randomUUID } from "node:crypto";
import {
  createElicitation,
  createTools,
  createVaultReferences,
  type Elicitation,
} from "@lango/agent-tools";
import {
  createBroker,
  createGuard,
  createPiiRedactor,
  createPresidioDetector,
  type Guard,
  type GuardedTool,
  type Scanner,
  type Surface,
  tightenPolicy,
} from "@lango/guard";
import type { Vault } from "@lango/vault";
import { clientFor } from "../cli/crypto.ts";
import type { Providers } from "../cli/providers.ts";
import type { Config } from "../config/defaults.ts";

export { serveMcp } from "@lango/agent-tools";

/** Everything between one client and the vault. */
export interface McpSession extends Disposable {
  readonly guard: Guard;
  readonly elicitation: Elicitation;
  readonly tools: readonly GuardedTool[];
}

export interface McpSessionOptions {
  readonly vault: Vault;
  readonly providers: Providers["byScheme"];
  readonly scanner: Scanner;
  readonly config: Config;
  /** Where a person is asked besides the client's own forms. */
  readonly surface?: Surface | undefined;
  readonly onWarning: (text: string) => void;
}

/**
 * Connects vault, guard and tools. The client that started this process is the one that asks; its own forms are one place where a
 * person is asked, a companion is another. A terminal of this process is its client's as well, so it is none.
 */
export function createMcpSession(options: McpSessionOptions): McpSession {
  const { vault, providers, scanner, config, surface, onWarning } = options;
  const { interceptor } = config.security;
  const broker = createBroker({
    vault: vault.approvals,
    policy: async () => tightenPolicy(await vault.approvals.policy.get(), interceptor),
    timeoutMs: interceptor.approvalTimeoutSec * 1000,
  });
  const elicitation = createElicitation();
  broker.addSurface(elicitation.surface);
  if (surface) broker.addSurface(surface);
  const references = createVaultReferences({ vault });
  const redacts = interceptor.enabled && interceptor.redactPii;
  const guard = createGuard({
    ...{ scanner, broker, resolver: references },
    ...(redacts && {
      redactor: createPiiRedactor({
        disable: interceptor.piiDisabledPatterns as never,
        custom: interceptor.piiCustomPatterns,
      }),
      ...(interceptor.presidio.enabled && {
        detector: createPresidioDetector({
          ...interceptor.presidio,
          onSkipped: ({ message }) => onWarning(`${message}; the patterns alone had to do`),
        }),
      }),
    }),
    session: `mcp-${randomUUID()}`,
    requester: { processId: process.ppid, client: "mcp" },
  });
  const { requestSecret } = elicitation;
  const crypto = (uri: string) => clientFor({ vault, providers, audience: "agent" }, uri);
  const tools = createTools({ vault, guard, references, crypto, requestSecret });
  return {
    guard,
    elicitation,
    tools,
    [Symbol.dispose]() {
      broker.close();
      references.close();
    },
  };
}
