import type { Service } from "./service.ts";

export const keyringServices: readonly Service[] = [
  {
    name: "gnome-keyring",
    provides: "the tests of the keyring of the operating system on a real Secret Service",
    programs: ["gnome-keyring-daemon"],
    probe: ["--version"],
    debian: ["gnome-keyring", "dbus"],
    advice: "Debian: apt-get install gnome-keyring dbus; only on Linux",
  },
  {
    name: "dbus-run-session",
    provides: "a D-Bus session for the tests of the keyring",
    programs: ["dbus-run-session"],
    probe: ["--version"],
    debian: ["dbus"],
    advice: "Debian: apt-get install dbus; only on Linux",
  },
];
