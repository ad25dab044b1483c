// Asks on its terminal as its argument says, and prints the answer.
import { confirm, promptHidden, promptLine } from "../src/terminal/prompt.ts";

const hex = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? "none" : Buffer.from(bytes).toString("hex");

console.log(`pid=${process.pid}.`);
try {
  switch (process.argv[2]) {
    case "hidden":
      console.log(`answer=${hex(await promptHidden("Secret: "))}.`);
      break;
    case "twice": {
      const first = hex(await promptHidden("First: "));
      console.log(`answer=${first},${hex(await promptHidden("Second: "))}.`);
      break;
    }
    case "line":
      console.log(`answer=${await promptLine("Line: ")}.`);
      break;
    case "confirm":
      console.log(`answer=${await confirm("Sure?")}.`);
      break;
    case "throw":
      setTimeout(() => {
        throw new Error("uncaught");
      }, 200);
      await promptHidden("Secret: ");
      break;
  }
} catch (error) {
  console.log(`failed=${(error as Error).name}.`);
  process.exitCode = (error as Error).name === "AbortError" ? 130 : 1;
}
