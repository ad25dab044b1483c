// A process that answers what nobody asked: companions that are not there, and noise. `flood-child.ts FINGERPRINT`
import { createSocket } from "node:dgram";
import { setImmediate as nextTurn } from "node:timers/promises";
import { encode } from "dns-packet";
import { serviceNames, serviceRecords } from "../../src/discovery/records.ts";

const [, , fingerprint = ""] = process.argv;
const socket = createSocket({ type: "udp4", reuseAddr: true });
await new Promise<void>((resolve) => {
  socket.bind(5353, "0.0.0.0", resolve);
});
const send = (packet: Uint8Array): void => socket.send(packet, 5353, "224.0.0.251");
for (let count = 0; count < 20_000; count++) {
  const answers = serviceRecords({
    ...serviceNames(`fake ${count}`, fingerprint),
    port: 1 + (count % 65_000),
    fingerprint,
    addresses: [{ address: `10.77.1.${count % 250}`, family: "IPv4" }],
  });
  send(encode({ type: "response", answers }));
  send(crypto.getRandomValues(new Uint8Array(count % 600)));
  if (count % 50 === 0) await nextTurn();
}
process.stdout.write("done\n");
socket.close();
