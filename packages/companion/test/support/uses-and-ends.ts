// Run by a test in a process of its own: whatever stays open keeps it from ending.
import { closeAll, link, MESSAGE, signs } from "./channels.ts";

const { channel } = await link({ handler: signs });
await channel.call("sign", MESSAGE);
await closeAll();
console.log("signed");
