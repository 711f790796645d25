/** The reactions of the link to events of the page around it. */
export interface PageEvents {
  /** There is a network, maybe another one. `awake` follows. */
  online(): void;
  /** The network is there, or the page is looked at again. */
  awake(): void;
  /** Something may be wrong with the network. */
  doubt(): void;
  /** The page is put away: into the back/forward cache, or frozen. */
  pause(): void;
  resume(): void;
}

interface EventTargetLike {
  addEventListener?(name: string, listener: () => void): void;
  removeEventListener?(name: string, listener: () => void): void;
}

/** Watches the page, where there is one. @returns ends it */
export function watchPage(events: PageEvents): () => void {
  const { window, document } = globalThis as { window?: EventTargetLike; document?: EventTargetLike };
  const ends: (() => void)[] = [];
  const on = (target: EventTargetLike | undefined, name: string, listener: () => void): void => {
    target?.addEventListener?.(name, listener);
    ends.push(() => target?.removeEventListener?.(name, listener));
  };
  on(window, "online", () => {
    events.online();
    events.awake();
  });
  on(window, "offline", () => events.doubt());
  on(document, "visibilitychange", () => {
    if ((document as { visibilityState?: string }).visibilityState === "visible") events.awake();
  });
  on(window, "pagehide", () => events.pause());
  on(window, "pageshow", () => events.resume());
  on(document, "freeze", () => events.pause());
  on(document, "resume", () => events.resume());
  return () => {
    for (const end of ends) end();
  };
}
