import { createScanner } from "@lango/guard";

const bytes = (text: string) => new TextEncoder().encode(text);
const secrets = [
  { name: "api_key", value: bytes("sk-abc123") },
  { name: "db/password", value: bytes("correct horse battery") },
  { name: "pin", value: bytes("1234") },
];
const scanner = await createScanner({ secrets });
console.log(scanner.unmasked); // [ { name: 'pin', reason: 'short' } ]

const { output, findings } = scanner.scan(bytes("Connected using key sk-abc123"));
console.log(new TextDecoder().decode(output)); // Connected using key [SECRET:api_key]
console.log(findings); // [ { name: 'api_key', form: 'raw', offset: 20, length: 9 } ]

// The same in chunks, cut anywhere, with the value in base64.
const stream = ReadableStream.from([bytes("Basic Y29ycmVjdCBob3Jz"), bytes("ZSBiYXR0ZXJ5 sent")]);
const masked = stream.pipeThrough(scanner.createTransformStream());
console.log(await new Response(masked).text()); // Basic [SECRET:db/password] sent
scanner.close();
