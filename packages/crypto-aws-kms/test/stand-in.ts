import type { Calls, KmsClient } from "../src/client.ts";

export const KEY_ARN =
  "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
export const OTHER_ARN =
  "arn:aws:kms:eu-central-1:111122223333:key/99999999-12ab-34cd-56ef-1234567890ab";

type Answers = { [N in keyof Calls]?: (input: Calls[N][0]) => unknown };

export interface StandIn extends KmsClient {
  /** Every command that was sent: its name, and what it held. */
  readonly sent: { readonly name: string; readonly input: Record<string, unknown> }[];
}

/** Metadata of an enabled symmetric key, or of another one. */
export const metadata = (changes: Record<string, unknown> = {}) => ({
  KeyMetadata: {
    Arn: KEY_ARN,
    KeyId: KEY_ARN.split("/")[1],
    KeySpec: "SYMMETRIC_DEFAULT",
    KeyUsage: "ENCRYPT_DECRYPT",
    KeyState: "Enabled",
    Origin: "AWS_KMS",
    CurrentKeyMaterialId: "a".repeat(64),
    ...changes,
  },
});

/** A client of the SDK's shape that answers what a test wants: for faults only, it proves nothing about AWS KMS. */
export function standIn(answers: Answers, config: Partial<KmsClient["config"]> = {}): StandIn {
  const sent: StandIn["sent"] = [];
  const all: Answers = { DescribeKey: () => metadata(), ...answers };
  return {
    sent,
    config: { region: async () => "eu-central-1", ...config },
    async send(command: never) {
      const { input } = command as { input: never };
      const name = (command as object).constructor.name.replace(/Command$/, "");
      sent.push({ name, input });
      const answer = all[name as keyof Calls] as ((input: never) => unknown) | undefined;
      if (answer === undefined) throw new Error(`the test has no answer for ${name}`);
      return await answer(input);
    },
    destroy() {},
  };
}
