import { aadVectors, hkdfVectors, jcsVectors } from "./encodings.ts";
import { keyslotsVectors } from "./keyslots.ts";
import { lng1Vectors } from "./lng1.ts";
import { lngrVectors } from "./lngr.ts";
import { lngsVectors } from "./lngs.ts";

/** Every file of docs/vectors by its name. */
export const allVectors = async (): Promise<Record<string, unknown>> => ({
  aad: aadVectors(),
  hkdf: hkdfVectors(),
  jcs: jcsVectors(),
  keyslots: await keyslotsVectors(),
  lng1: lng1Vectors(),
  lngr: lngrVectors(),
  lngs: lngsVectors(),
});

export const vectorsText = (vectors: unknown): string =>
  `${JSON.stringify(vectors, undefined, 1)}\n`;
