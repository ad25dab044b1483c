import { AsyncLocalStorage } from "node:async_hooks";
import { CryptoError, raceSignal } from "@lango/crypto-core";
import type { Answer, ApprovalRequest, Surface } from "@lango/guard";
import type { RequestSecret } from "../secret-tools.ts";

/** A question that a client of MCP shows in a form. Never for a secret: its answer goes through the client. */
export interface Question {
  readonly message: string;
  /** JSON Schema of the form. */
  readonly form: Form;
}

export interface Form {
  readonly type: "object";
  readonly properties: Readonly<Record<string, object>>;
  readonly required: readonly string[];
}

/** What came back. `content` is what the client says that a person entered: not checked. */
export interface FormAnswer {
  readonly action: "accept" | "decline" | "cancel";
  readonly content?: Readonly<Record<string, unknown>> | undefined;
}

/** Where the questions of one call of a tool go. */
export interface QuestionChannel {
  /** Whether the client of this call shows forms. */
  readonly isOpen: boolean;
  /** The client's name of itself, for the audit. */
  readonly client: string;
  ask(question: Question): Promise<FormAnswer>;
}

/** Asks the person behind the client that made a call, by an elicitation of that client. */
export interface Elicitation {
  /** For the broker. Its yes is worth nothing for what is dangerous: the client that asks gives it. */
  readonly surface: Surface;
  /**
   * For `secrets.request`: asks the person to enter the secret elsewhere and to say when that is done. The secret itself never goes
   * through a form.
   */
  readonly requestSecret: RequestSecret;
  /** Runs the work of one call; what is asked during it goes to its channel. */
  within<T>(channel: QuestionChannel, work: () => Promise<T>): Promise<T>;
}

/** Makes the link between a broker, the tools and the server of MCP that runs them. */
export const createElicitation = (): Elicitation => {
  const channels = new AsyncLocalStorage<QuestionChannel>();

  const ask = (question: Question, signal: AbortSignal): Promise<FormAnswer> => {
    const channel = channels.getStore();
    if (channel?.isOpen !== true) {
      throw new CryptoError("ERR_DENIED", "The client shows no forms");
    }
    return raceSignal(signal, () => channel.ask(question));
  };

  return {
    within: (channel, work) => channels.run(channel, work),
    surface: {
      name: "mcp",
      counts: (request) => !request.dangerous && channels.getStore()?.isOpen === true,
      async ask(request, signal): Promise<Answer> {
        const by = `the client ${channels.getStore()?.client ?? ""}`.trimEnd();
        const { action, content } = await ask(approvalQuestion(request), signal);
        // A client that accepts whatever comes sends no more than the defaults: an empty form is no yes.
        const approved = action === "accept" && content?.["approve"] === true;
        const minutes = content?.["scope"] === TEN_MINUTES ? 10 : undefined;
        return { approved, by, ...(minutes === undefined ? {} : { scope: { minutes } }) };
      },
    },
    async requestSecret({ name, reason }, signal) {
      if (channels.getStore()?.isOpen !== true) return undefined;
      const { action, content } = await ask(secretQuestion(name, reason), signal);
      return action === "accept" && content?.["entered"] === true ? "elsewhere" : undefined;
    },
  };
};

const ONCE = "once";
const TEN_MINUTES = "10 minutes";

const approvalQuestion = ({ summary, expiresAt }: ApprovalRequest): Question => ({
  message: [
    "The agent asks for your approval.",
    ...summary,
    `Open until: ${new Date(expiresAt).toISOString()}`,
  ].join("\n"),
  form: {
    type: "object",
    properties: {
      approve: { type: "boolean", title: "Approve", description: "Yes, do this" },
      scope: {
        type: "string",
        title: "For how long",
        enum: [ONCE, TEN_MINUTES],
        default: ONCE,
      },
    },
    required: ["approve"],
  },
});

const secretQuestion = (name: string, reason: string | undefined): Question => ({
  message: [
    `The agent needs the secret ${name}.`,
    ...(reason === undefined ? [] : [`It says: ${printable(reason)}`]),
    "Do not type it here. Enter it in a terminal of your own:",
    `  lango security secrets set ${name}`,
  ].join("\n"),
  form: {
    type: "object",
    properties: { entered: { type: "boolean", title: "I have entered it in a terminal" } },
    required: ["entered"],
  },
});

/** Without what moves a cursor, changes colours or turns the direction of text: an agent wrote it. */
const printable = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u00b7");
