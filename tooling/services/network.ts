import type { Service } from "./service.ts";

export const networkServices: readonly Service[] = [
  {
    name: "netns",
    provides: "the tests of a companion on a second machine, made of network namespaces",
    programs: ["unshare"],
    // Root in a machine or container that may make namespaces.
    probe: ["--mount", "--net", "--pid", "--fork", "--mount-proc", "ip", "link"],
    debian: ["iproute2", "util-linux"],
    advice: "Linux as root; Debian: apt-get install iproute2 util-linux; not on macOS or Windows",
  },
  {
    name: "avahi",
    provides: "the tests of discovery against Avahi",
    programs: ["sh"],
    probe: [
      "-c",
      "avahi-daemon --version && avahi-browse --version && avahi-publish --version && dbus-daemon --version",
    ],
    debian: ["avahi-daemon", "avahi-utils", "dbus"],
    advice:
      "Linux; Debian: apt-get install --no-install-recommends avahi-daemon avahi-utils dbus; not on macOS or Windows",
  },
];
