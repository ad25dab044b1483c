import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface SilentProxy {
  readonly port: number;
  /** From now on no byte comes through in either direction, and no connection ends: as when a cable is pulled. */
  silence(): void;
  /** {@link silence} as soon as a client sends something that contains this. */
  silenceAt(text: string): void;
  /** What was swallowed is gone, and so are the connections of that time; new ones come through. */
  heal(): void;
}

/** Stands between a client and a server on this machine. */
export async function startSilentProxy(port: number): Promise<SilentProxy> {
  const pairs = new Set<{ near: Socket; far: Socket }>();
  let silent = false;
  let at: string | undefined;
  const proxy = createServer({ allowHalfOpen: true }, (near) => {
    const far = dial({ port, host: "127.0.0.1", allowHalfOpen: true });
    const pair = { near, far };
    pairs.add(pair);
    const cut = { done: silent };
    for (const socket of [near, far]) {
      socket.on("error", () => undefined);
      socket.on("end", () => {
        if (!silent && !cut.done) (socket === near ? far : near).end();
      });
    }
    near.on("data", (chunk) => {
      if (at !== undefined && chunk.includes(at)) {
        silent = true;
        at = undefined;
      }
      cut.done ||= silent;
      if (!cut.done) far.write(chunk);
    });
    far.on("data", (chunk) => {
      cut.done ||= silent;
      if (!cut.done) near.write(chunk);
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const destroyAll = () => {
    for (const { near, far } of pairs) {
      near.destroy();
      far.destroy();
    }
    pairs.clear();
  };
  onTestFinished(() => {
    destroyAll();
    proxy.close();
  });
  const address = proxy.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    silence: () => {
      silent = true;
    },
    silenceAt: (text) => {
      at = text;
    },
    heal: () => {
      silent = false;
    },
  };
}
