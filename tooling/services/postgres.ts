import { execFileSync } from "node:child_process";
import { chownSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Server, startServer } from "./server.ts";

/** The owner of everything in a {@link startPostgres} server. */
export const POSTGRES_USER = "lango";

export interface PostgresServer extends Server {
  /** Stops the server as a crash would (`immediate`) or as an administrator does (`fast`); it keeps its data and port. */
  halt(mode: "fast" | "immediate"): Promise<void>;
  /** Starts it again. */
  resume(): Promise<void>;
}

export interface PostgresOptions {
  /** PEM of a certificate with its key: switches TLS on. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Whether a commit waits for the disk, which tests have no use for. Default: false. */
  readonly fsync?: boolean;
}

/**
 * Starts a PostgreSQL server of its own in a temporary folder, which takes connections of {@link POSTGRES_USER} on the
 * loopback address with this password alone. Stopping it removes the folder.
 *
 * @param program - The path of the service `postgres`.
 */
export async function startPostgres(
  program: string,
  password: string,
  { tls, fsync = false }: PostgresOptions = {},
): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), "lango-postgres-"));
  const data = join(folder, "data");
  const tools = dirname(realpathSync(program));
  const run = (name: string, args: readonly string[]) =>
    execFileSync(...unprivileged(join(tools, name), args), { cwd: folder, stdio: "pipe" });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const give = (name: string, content: string): string => {
    const file = join(folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    giveAway(file);
    return file;
  };
  const start = (settings: readonly string[], port?: number) => {
    const [command, before] = unprivileged(join(tools, "postgres"), ["-D", data]);
    return startServer({
      program: command,
      args: (port) => [
        ...[...before, "-h", "127.0.0.1", "-p", `${port}`, "-k", ""],
        ...["-c", `fsync=${fsync ? "on" : "off"}`],
        ...settings.flatMap((setting) => ["-c", setting]),
      ],
      cwd: folder,
      ...(port === undefined ? {} : { port }),
    });
  };
  try {
    giveAway(folder);
    run("initdb", [
      ...["-D", data, "-U", POSTGRES_USER, "--pwfile", give("password", password)],
      ...["--auth-host=scram-sha-256", "--auth-local=reject"],
      ...["--no-sync", "--encoding=UTF8", "--locale=C"],
    ]);
    const settings =
      tls === undefined
        ? []
        : [
            "ssl=on",
            `ssl_cert_file=${give("server.crt", tls.cert)}`,
            `ssl_key_file=${give("server.key", tls.key)}`,
          ];
    let server = await start(settings);
    // Killed, it would leave a segment of shared memory on the machine.
    const halt = async (mode: "fast" | "immediate"): Promise<void> => {
      run("pg_ctl", ["stop", "-D", data, "-m", mode, "-w"]);
      await server.stop();
    };
    return {
      ...server,
      halt,
      output: () => server.output(),
      async resume() {
        server = await start(settings, server.port);
      },
      async stop() {
        await halt("fast");
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

const isRoot = (): boolean => process.getuid?.() === 0;
const idOfNobody = (flag: "-u" | "-g"): number =>
  Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));

/** PostgreSQL refuses to run as root. */
function unprivileged(program: string, args: readonly string[]): [string, string[]] {
  if (!isRoot()) return [program, [...args]];
  const ids = [`--reuid=${idOfNobody("-u")}`, `--regid=${idOfNobody("-g")}`, "--clear-groups"];
  return ["setpriv", [...ids, program, ...args]];
}

function giveAway(path: string): void {
  if (isRoot()) chownSync(path, idOfNobody("-u"), idOfNobody("-g"));
}
