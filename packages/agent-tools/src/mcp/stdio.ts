import type { Readable, Writable } from "node:stream";
import { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
import { createServer, type McpServerOptions } from "./server.ts";

export interface ServeMcpOptions extends McpServerOptions {
  /** Default: standard input. */
  readonly input?: Readable;
  /** Default: standard output. Nothing but the protocol is written to it. */
  readonly output?: Writable;
  /** Ends the service when it aborts. */
  readonly signal?: AbortSignal;
  /** Told of what goes wrong outside of calls; its message may quote what a client sent. */
  readonly onError?: (error: Error) => void;
}

/**
 * Serves one client over standard input and output, in the protocol that it opens with. Resolves when the client closes its end,
 * or at the abort; calls under way are cancelled then.
 */
export const serve = async (options: ServeMcpOptions): Promise<void> => {
  const { input = process.stdin, output = process.stdout, signal, onError } = options;
  signal?.throwIfAborted();
  const transport = new StdioServerTransport(input, output);
  const instances = new Set<{ close(): void }>();
  const isOver = new Promise<void>((resolve) => {
    input.once("end", resolve);
    input.once("close", resolve);
    output.once("error", () => resolve());
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
  const handle = serveStdio(
    () => {
      const instance = createServer(options);
      instances.add(instance);
      return instance.server;
    },
    { transport, ...(onError === undefined ? {} : { onerror: onError }) },
  );
  try {
    await isOver;
  } finally {
    for (const instance of instances) instance.close();
    await handle.close();
  }
};
