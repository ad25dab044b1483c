import { spawn } from "node:child_process";
import { onTestFinished } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { folder } from "./support.ts";

/** Starts a D-Bus session with a keyring that a password opens; gives the variables by which a program finds it. */
export async function keyringSession(
  password = "pw",
  home = folder(),
): Promise<Record<string, string>> {
  const start =
    'printf %s "$1" | "$2" --unlock --components=secrets >/dev/null 2>&1; echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat';
  const daemon = requireService("gnome-keyring");
  const words = ["--", "sh", "-c", start, "sh", password, daemon];
  const session = spawn(requireService("dbus-run-session"), words, {
    env: { PATH: process.env["PATH"], HOME: home, XDG_RUNTIME_DIR: folder() },
    stdio: ["pipe", "pipe", "ignore"],
  });
  // It lives until its standard input ends: with this process at the latest.
  onTestFinished(async () => {
    session.stdin.end();
    await new Promise((resolve) => session.once("exit", resolve));
  });
  const address = await new Promise<string>((resolve, reject) => {
    session.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()));
    session.once("exit", (code) => reject(new Error(`dbus-run-session ended with ${code}`)));
  });
  return { DBUS_SESSION_BUS_ADDRESS: address, HOME: home };
}
