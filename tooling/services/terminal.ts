import type { Service } from "./service.ts";

const debian = (name: string): string => `Debian: apt-get install ${name}`;

/** What `lango run` is tried with on a terminal. */
export const terminalServices: readonly Service[] = [
  {
    name: "tmux",
    provides: "the tests of lango run on a real terminal, with job control",
    programs: ["tmux"],
    probe: ["-V"],
    debian: ["tmux"],
    advice: `${debian("tmux")}; macOS: brew install tmux; not on Windows`,
  },
  {
    name: "vim",
    provides: "the test of a full-screen program under lango run",
    programs: ["vim"],
    probe: ["--version"],
    debian: ["vim"],
    advice: debian("vim"),
  },
  {
    name: "psql",
    provides: "the test of psql under lango run",
    programs: ["psql"],
    probe: ["--version"],
    debian: ["postgresql-client"],
    advice: debian("postgresql-client"),
  },
  {
    name: "postgres",
    provides: "the server for the test of psql under lango run",
    // Debian puts it on no PATH.
    programs: [
      "postgres",
      ...[18, 17, 16, 15, 14].map((version) => `/usr/lib/postgresql/${version}/bin/postgres`),
    ],
    probe: ["--version"],
    debian: ["postgresql"],
    advice: `${debian("postgresql")}; macOS: brew install postgresql; not on Windows`,
  },
  {
    name: "unshare",
    provides: "the test of lango run as the first process of a container",
    programs: ["unshare"],
    probe: ["--user", "--map-root-user", "--fork", "--pid", "--mount-proc", "true"],
    debian: ["util-linux"],
    advice: "util-linux on Linux, where user namespaces are allowed; many containers forbid them",
    optional: true,
  },
];
