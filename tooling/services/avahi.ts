import { HOST_INTERFACE, type Host, type HostProgram } from "./netns.ts";

export interface AvahiOptions {
  /** Its name in `.local`. */
  readonly name: string;
  /** Default: both. */
  readonly ip?: "ipv4" | "ipv6" | undefined;
}

/** Avahi on a host, with the system bus that its tools speak over. Both end with the host. */
export interface Avahi {
  /** Announces a service until the returned program is killed; resolves when that is done. */
  publish(name: string, type: string, port: number, txt: readonly string[]): Promise<HostProgram>;
  /** Looks for services of a type, one line of `avahi-browse --parsable --resolve` each, until it is killed. */
  browse(type: string): HostProgram;
  /** Ends the daemon, which takes its services back, and starts it again. */
  restart(): Promise<void>;
}

/** Needs the service `avahi`. */
export async function startAvahi(host: Host, { name, ip }: AvahiOptions): Promise<Avahi> {
  const config = `[server]
host-name=${name}
allow-interfaces=${HOST_INTERFACE}
use-ipv4=${ip === "ipv6" ? "no" : "yes"}
use-ipv6=${ip === "ipv4" ? "no" : "yes"}
[publish]
publish-aaaa-on-ipv4=${ip === "ipv4" ? "no" : "yes"}
publish-a-on-ipv6=${ip === "ipv6" ? "no" : "yes"}
`;
  const write = 'mkdir -p /run/dbus /run/avahi-daemon && printf %s "$1" >/run/avahi.conf';
  await host.run("sh", ["-c", write, "sh", config]);
  const bus = host.start("dbus-daemon", ["--system", "--nofork", "--nopidfile", "--print-address"]);
  await said(bus, "unix:");
  const start = async (): Promise<HostProgram> => {
    const flags = ["--no-drop-root", "--no-chroot", "--no-rlimits"];
    const daemon = host.start("avahi-daemon", ["--file", "/run/avahi.conf", ...flags]);
    await said(daemon, "Server startup complete");
    return daemon;
  };
  let daemon = await start();
  return {
    async publish(service, type, port, txt) {
      const args = ["--service", service, type, String(port), ...txt];
      const program = host.start("avahi-publish", args);
      await said(program, "Established");
      return program;
    },
    browse: (type) => host.start("avahi-browse", ["--resolve", "--parsable", type]),
    async restart() {
      daemon.kill();
      await daemon.ended;
      daemon = await start();
    },
  };
}

/** Waits until a program has written something. */
export function said(program: HostProgram, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (program.output().includes(text)) resolve();
    };
    program.stdout.on("data", look);
    program.stderr.on("data", look);
    look();
    void program.ended.then(() => {
      reject(new Error(`it ended without "${text}":\n${program.output()}`));
    });
  });
}
