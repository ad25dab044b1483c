import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { onTestFinished } from "vitest";
import { STAGES } from "../src/stages.ts";

/** Runs `act`, synchronously and once, when the vault reaches a stage. */
export const onStage = (wanted: string, act: () => void): void => {
  let done = false;
  const listen = (stage: unknown): void => {
    if (stage !== wanted || done) return;
    done = true;
    act();
  };
  subscribe(STAGES, listen);
  onTestFinished(() => void unsubscribe(STAGES, listen));
};
