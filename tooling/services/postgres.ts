import { execFileSync } from "node:child_process";
import { chownSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Server, startServer } from "./server.ts";

/** The owner of everything in a {@link startPostgres} server. */
export const POSTGRES_USER = "lango";

/**
 * Starts a PostgreSQL server of its own in a temporary folder, which takes connections of {@link POSTGRES_USER} on the
 * loopback address with this password alone. Stopping it removes the folder.
 *
 * @param program - The path of the service `postgres`.
 */
export async function startPostgres(program: string, password: string): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "lango-postgres-"));
  const data = join(folder, "data");
  const tools = dirname(realpathSync(program));
  const run = (name: string, args: readonly string[]) =>
    execFileSync(...unprivileged(join(tools, name), args), { cwd: folder, stdio: "pipe" });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    giveAway(folder);
    const file = join(folder, "password");
    writeFileSync(file, password);
    giveAway(file);
    run("initdb", [
      ...["-D", data, "-U", POSTGRES_USER, "--pwfile", file, "--auth-host=scram-sha-256"],
      ...["--auth-local=reject", "--no-sync", "--encoding=UTF8", "--locale=C"],
    ]);
    const [command, before] = unprivileged(join(tools, "postgres"), ["-D", data]);
    const server = await startServer({
      program: command,
      args: (port) => [...before, "-h", "127.0.0.1", "-p", `${port}`, "-k", "", "-F"],
      cwd: folder,
    });
    const stop = async (): Promise<void> => {
      // Killed, it would leave a segment of shared memory on the machine.
      run("pg_ctl", ["stop", "-D", data, "-m", "fast", "-w"]);
      await server.stop();
      remove();
    };
    return { ...server, stop };
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
