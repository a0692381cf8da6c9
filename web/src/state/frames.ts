/** Work that is put together until the next frame is drawn; on a page that is not seen, a few times a second. */

const HIDDEN_MS = 250;

export function createFrames(work: () => void): { ask(): void; now(): void } {
  let cancel: (() => void) | null = null;
  const run = () => {
    cancel?.();
    cancel = null;
    work();
  };
  return {
    ask() {
      if (cancel !== null) return;
      if (document.visibilityState === 'hidden') {
        const timer = setTimeout(run, HIDDEN_MS);
        cancel = () => clearTimeout(timer);
        return;
      }
      const frame = requestAnimationFrame(run);
      // A page that is hidden meanwhile gets no frame.
      const timer = setTimeout(run, HIDDEN_MS);
      cancel = () => {
        cancelAnimationFrame(frame);
        clearTimeout(timer);
      };
    },
    now: run,
  };
}
