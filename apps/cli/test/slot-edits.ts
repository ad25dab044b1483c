import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { type JsonValue, jcs } from "@lango/envelope";

/** Changes a slot of a keyslots file as somebody does who knows the format and has no key: the checksum fits, the MAC does not. */
export function editSlot(path: string, slotId: string, change: object): void {
  const { sha256: _, slots, ...others } = JSON.parse(readFileSync(path, "utf8"));
  const content = {
    ...others,
    slots: slots.map((slot: { id: string }) =>
      slot.id === slotId ? { ...slot, ...change } : slot,
    ),
  };
  const sha256 = createHash("sha256")
    .update(jcs(content as JsonValue))
    .digest("hex");
  writeFileSync(path, JSON.stringify({ ...content, sha256 }));
}
