import { createPiiRedactor } from "@lango/guard";

const redactor = createPiiRedactor({ enable: ["iban"], custom: { ticket: "TCK-[0-9]{6}" } });
const { text } = redactor.redact("Ada, ada@example.org, (555) 123-4567, card 3782 822463 10005, TCK-000123");
console.log(text); // Ada, [REDACTED], [REDACTED], card [REDACTED], [REDACTED]
