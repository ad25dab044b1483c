// node --conditions=@lango/source packages/envelope/test/known-answers/write.ts
import { writeFileSync } from "node:fs";
import { allVectors, vectorsText } from "./all.ts";

for (const [name, vectors] of Object.entries(await allVectors())) {
  writeFileSync(
    new URL(`../../../../docs/vectors/${name}.json`, import.meta.url),
    vectorsText(vectors),
  );
}
