import { channel } from "node:diagnostics_channel";

/** The channel on which stages of work are named; nobody listens but tests and tracing. */
export const STAGES = "lango.compat.stage";

const stages = channel(STAGES);

/** Says that a stage was reached. Costs nothing when nobody listens. */
export const reached = (stage: string): void => {
  if (stages.hasSubscribers) stages.publish(stage);
};
