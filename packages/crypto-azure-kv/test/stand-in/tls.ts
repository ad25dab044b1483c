import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  readonly key: string;
  /** PEM; its own authority. */
  readonly cert: string;
}

/** Makes a certificate for the loopback address with the `openssl` command. */
export function makeCertificate(openssl: string): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "lango-azure-kv-"));
  try {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const who = ["-subj", "/CN=stand-in", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
    execFileSync(
      openssl,
      ["req", "-x509", ...how, ...who, "-days", "2", "-keyout", key, "-out", cert],
      { stdio: "ignore" },
    );
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
