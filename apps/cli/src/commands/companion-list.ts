import type { Handler } from "../cli/command.ts";
import { shortFingerprint } from "../cli/companion-device.ts";
import { readCompanionRecords } from "../cli/companion-record.ts";
import { table, when } from "../cli/output.ts";
import { withRows } from "../cli/reader.ts";

/** Lists the paired devices. */
export const run: Handler = (context, args) =>
  withRows(context, args, async (vault) => {
    const records = readCompanionRecords(context.home);
    const devices = (await vault.companions.list()).map((device) => {
      const record = records.get(device.id);
      const connected = record?.pid !== undefined;
      return { ...device, lastSeenAt: record?.seenAt ?? null, connected };
    });
    if (devices.length === 0) {
      context.note('no paired devices: "lango companion pair" pairs one');
    }
    return {
      data: { devices },
      text: table(
        ["NAME", "ROLE", "FINGERPRINT", "PAIRED", "LAST SEEN", "STATE", "CONNECTED", "ID"],
        devices.map(({ id, name, role, fingerprint, state, pairedAt, lastSeenAt, connected }) => [
          name,
          role,
          shortFingerprint(fingerprint),
          when(pairedAt),
          when(lastSeenAt ?? undefined),
          state,
          connected ? "yes" : "no",
          id,
        ]),
      ),
    };
  });
