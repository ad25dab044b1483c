/**
 * Tells a hook of the application. What the hook throws, or rejects with, becomes a warning of the process: an observer
 * can neither lose a result nor fail in silence.
 */
export const callHook = <E>(
  name: string,
  hook: ((event: E) => void | Promise<void>) | undefined,
  event: E,
): void => {
  if (hook === undefined) return;
  new Promise<void>((resolve) => resolve(hook(event))).catch((error: unknown) => {
    process.emitWarning(
      `The hook ${name} failed: ${error instanceof Error ? error.message : "no error"}`,
      {
        type: "LangoWarning",
        code: "LANGO_HOOK_FAILED",
      },
    );
  });
};
