import { CryptoError } from "@lango/crypto-core";

/** Where a value goes: a program that gets it, a server that it is sent to, or a tool that does not say. */
export type Target =
  | {
      readonly kind: "command";
      /** The absolute path of the program, symbolic links resolved. */
      readonly path: string;
    }
  | {
      readonly kind: "destination";
      /** The host name, without a trailing dot, or the address (IPv6 in brackets). */
      readonly host: string;
      readonly port: number;
    }
  | {
      /** A tool that does not say where it sends what it is given. No list covers it. */
      readonly kind: "tool";
      readonly name: string;
    };

/** To whom the plain form of a secret may be given without asking. Both lists empty: each use needs an approval. */
export interface SecretPolicy {
  /**
   * `host`, `host:port` or `*.host`; the latter stands for names below `host`, not for itself. Without a port: 443.
   */
  readonly destinations: readonly string[];
  /** Absolute paths of programs. */
  readonly commands: readonly string[];
  /** Whether only handles may be used. Default: false. */
  readonly requiresHandle?: boolean;
}

/** What a policy says about a target. */
export type Verdict = "listed" | "needs-approval" | "forbidden";

/**
 * Decides whether the plain form may go to a target. A secret with any entry goes to nothing that has no entry.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for an entry that is not as {@link SecretPolicy} says: an entry that matches
 *   nothing would look as if it restricted something.
 */
export const judgePlainForm = (policy: SecretPolicy, target: Target): Verdict => {
  const destinations = policy.destinations.map(parseDestination);
  for (const path of policy.commands) if (!path.startsWith("/") && !isDrivePath(path)) throw bad();
  if (policy.requiresHandle === true) return "forbidden";
  if (destinations.length === 0 && policy.commands.length === 0) return "needs-approval";
  const isListed =
    target.kind === "command"
      ? policy.commands.includes(target.path)
      : target.kind === "destination" &&
        destinations.some((destination) => covers(destination, target.host, target.port));
  return isListed ? "listed" : "forbidden";
};

/** A target as approvals and handles name it: `host:port`, the path of a program, or `tool` and its name. */
export const targetName = (target: Target): string => {
  if (target.kind === "destination") return `${target.host.toLowerCase()}:${target.port}`;
  return target.kind === "command" ? target.path : `tool ${target.name}`;
};

interface Destination {
  readonly host: string;
  readonly below: boolean;
  readonly port: number;
}

const HTTPS_PORT = 443;
const DESTINATION = /^(\*\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/;

const parseDestination = (entry: string): Destination => {
  const found = DESTINATION.exec(entry.toLowerCase());
  const port = Number(found?.[3] ?? HTTPS_PORT);
  if (!found || port < 1 || port > 65_535) throw bad();
  return { below: found[1] !== undefined, host: found[2]!, port };
};

const covers = (destination: Destination, host: string, port: number): boolean => {
  const name = host.toLowerCase();
  const isHost = destination.below
    ? name.endsWith(`.${destination.host}`)
    : name === destination.host;
  return isHost && port === destination.port;
};

const isDrivePath = (path: string): boolean => /^[A-Za-z]:\\/.test(path);

const bad = (): CryptoError =>
  new CryptoError(
    "ERR_CONFIG",
    "A secret's list of destinations or commands has an entry that is neither",
    {
      context: {
        hint: "Destinations are host, host:port or *.host; commands are absolute paths",
      },
    },
  );
