import type {
  LostSession,
  MemberChange,
  Message,
  Notice,
  Receiver,
} from "../../../src/realtime/brokers/broker.js";

export type Recorded =
  | { readonly kind: "message"; readonly room: string; readonly message: Message }
  | { readonly kind: "notice"; readonly room: string; readonly notice: Notice }
  | {
      readonly kind: "gap";
      readonly room: string;
      readonly epoch: string;
      readonly from: number;
      readonly to: number;
    }
  | { readonly kind: "signal"; readonly text: string }
  | { readonly kind: "member"; readonly room: string; readonly change: MemberChange }
  | { readonly kind: "lost"; readonly sessions: ReadonlyMap<string, LostSession> }
  | { readonly kind: "evicted" }
  | { readonly kind: "vacated"; readonly room: string };

/** A hub that only writes down what the broker tells it. */
export interface Recorder extends Receiver {
  readonly all: readonly Recorded[];
  /** The numbers of a room's messages, in the order of their arrival. */
  seqs(room: string): number[];
  /** Their texts. */
  texts(room: string): string[];
  /** Who came into a room and left it, as `+name` and `-name`. */
  members(room: string): string[];
  /** Resolves when `fits` holds; looked at with everything that arrives. */
  until(fits: (all: readonly Recorded[]) => boolean): Promise<void>;
}

export function createRecorder(): Recorder {
  const all: Recorded[] = [];
  const waiting = new Set<() => void>();
  const add = (entry: Recorded): void => {
    all.push(entry);
    for (const look of waiting) look();
  };
  return {
    all,
    message: (room, message) => add({ kind: "message", room, message }),
    notice: (room, notice) => add({ kind: "notice", room, notice }),
    gap: (room, epoch, from, to) => add({ kind: "gap", room, epoch, from, to }),
    member: (room, change) => add({ kind: "member", room, change }),
    lost: sessions => add({ kind: "lost", sessions }),
    announcesSockets: room => room.startsWith("sockets"),
    evicted: () => add({ kind: "evicted" }),
    vacated: room => add({ kind: "vacated", room }),
    members: room =>
      all.flatMap(entry =>
        entry.kind === "member" && entry.room === room
          ? [`${entry.change.entered ? "+" : "-"}${entry.change.from}`]
          : [],
      ),
    signal: text => add({ kind: "signal", text }),
    seqs: room =>
      all.flatMap(entry => (entry.kind === "message" && entry.room === room ? [entry.message.seq] : [])),
    texts: room =>
      all.flatMap(entry =>
        entry.kind === "message" && entry.room === room
          ? [(JSON.parse(entry.message.text) as { readonly message: string }).message]
          : [],
      ),
    until: fits =>
      new Promise(resolve => {
        const look = (): void => {
          if (!fits(all)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}
