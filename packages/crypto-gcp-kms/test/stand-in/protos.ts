import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The official protos, as the SDK ships them. */
export const readProtos = () => {
  const main = createRequire(import.meta.url).resolve("@google-cloud/kms");
  return JSON.parse(readFileSync(join(dirname(main), "../protos/protos.json"), "utf8"));
};

/** The names of an enumeration by their numbers, e.g. of `CryptoKey.CryptoKeyPurpose`. */
export const readEnum = (path: string): Readonly<Record<number, string>> => {
  let node = readProtos().nested.google.nested.cloud.nested.kms.nested.v1;
  for (const name of path.split(".")) node = node.nested[name];
  return Object.fromEntries(
    Object.entries<number>(node.values).map(([name, number]) => [number, name]),
  );
};
