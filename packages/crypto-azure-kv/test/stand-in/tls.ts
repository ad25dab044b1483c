import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

export interface Certificate {
  readonly key: string;
  /** PEM; its own authority. */
  readonly cert: string;
}

/** DER (X.690): tag, length, content. */
const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const long = length > 0xff ? [0x82, length >> 8, length & 0xff] : [0x81, length];
  return Buffer.concat([Buffer.of(tag, ...(length < 0x80 ? [length] : long)), content]);
};
const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
const bits = (bytes: Uint8Array, unused = 0): Buffer => der(0x03, Buffer.of(unused), bytes);
const TRUE = der(0x01, Buffer.of(0xff));
const ECDSA_WITH_SHA256 = sequence(oid("2a8648ce3d040302"));
const COMMON_NAME = oid("550403");

const DAY = 86_400_000;

/**
 * Makes a certificate for the loopback address (RFC 5280) of two days, with all that a strict verifier asks of an authority
 * that signed itself: so the tests need no `openssl`.
 *
 * @param names - Further hosts that it is for.
 */
export function makeCertificate(...names: string[]): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const name = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from("stand-in")))));
  const at = (ms: number): Buffer => {
    const [digits] = new Date(ms).toISOString().replaceAll(/[-:T]/g, "").split(".");
    // UTCTime, whose years have two digits.
    return der(0x17, Buffer.from(`${digits!.slice(2)}Z`));
  };
  const extension = (id: string, value: Uint8Array, ...critical: Uint8Array[]): Buffer =>
    sequence(oid(id), ...critical, der(0x04, value));
  const keyId = createHash("sha1").update(spki).digest();
  const extensions = sequence(
    // The addresses, as subjectAltName: iPAddress and dNSName.
    extension(
      "551d11",
      sequence(
        der(0x87, Buffer.of(127, 0, 0, 1)),
        ...["localhost", ...names].map((host) => der(0x82, Buffer.from(host))),
      ),
    ),
    extension("551d13", sequence(TRUE), TRUE),
    // digitalSignature and keyCertSign.
    extension("551d0f", bits(Buffer.of(0b1000_0100), 2), TRUE),
    extension("551d0e", der(0x04, keyId)),
    extension("551d23", sequence(der(0x80, keyId))),
  );
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.of(1), randomBytes(8)),
    ECDSA_WITH_SHA256,
    name,
    sequence(at(Date.now() - DAY), at(Date.now() + DAY)),
    name,
    spki,
    der(0xa3, extensions),
  );
  const certificate = sequence(signed, ECDSA_WITH_SHA256, bits(sign("sha256", signed, privateKey)));
  const lines = certificate
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
}
