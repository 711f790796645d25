import type { MemberChange, RoomMember } from "./broker.js";

/** Changes that may wait until the earlier members of a room are known. */
const maxHeld = 10_000;

interface Present {
  readonly node: string;
  readonly from: string;
  /** It was there when this node began to receive the room, as far as is known. */
  readonly found: boolean;
}

/** The members of one room on all nodes, as notified to its members on this node. */
export class RoomSessions {
  readonly #notify: (change: MemberChange) => void;
  readonly #each: boolean;
  /** By session. */
  readonly #sessions = new Map<string, Present>();
  /** How many sessions a name has. */
  readonly #names = new Map<string, number>();
  /** Names that have entered or left since the store was read. */
  #changed: Set<string> | undefined;
  /** Changes before the members are known; undefined when they are. */
  #held: MemberChange[] | undefined = [];

  /**
   * @param notify called when a name has entered the room by its first session, or left it with its last
   * @param each `notify` for each session
   */
  constructor(notify: (change: MemberChange) => void, each = false) {
    this.#notify = notify;
    this.#each = each;
  }

  /** How many sessions there are. */
  get size(): number {
    return this.#sessions.size;
  }

  /** The store is being read; `compare` follows. */
  beginReading(): void {
    this.#changed ??= new Set();
  }

  change(change: MemberChange): void {
    this.#changed?.add(change.session);
    if (this.#held === undefined) this.#apply(change);
    // A member that was there before is reported after the next reading.
    else if (this.#held.length < maxHeld) this.#held.push(change);
  }

  /** The members when this node began to receive the room, and maybe later changes: none of them is reported. */
  begin(members: readonly RoomMember[]): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    const changed = new Set(held.filter(({ again }) => !again).map(({ session }) => session));
    for (const member of members) if (!changed.has(member.session)) this.#add(member, true);
    for (const change of held) {
      if (!change.entered && !this.#sessions.has(change.session))
        this.#add({ ...change, node: change.of ?? "" }, true);
      this.#apply(change);
    }
  }

  /**
   * The members in the store now, after changes may have been missed.
   * @param isHere whether a session is one of this node: the store may not know of it yet
   * @param complete false where other nodes may not have announced their members yet: no member is taken for gone
   */
  compare(members: readonly RoomMember[], isHere: (session: string) => boolean, complete: boolean): void {
    if (this.#held !== undefined) {
      this.begin(members);
      return;
    }
    const at = Date.now();
    const changed = this.#changed ?? new Set<string>();
    this.#changed = undefined;
    const there = new Set(changed);
    for (const member of members) {
      there.add(member.session);
      if (changed.has(member.session)) continue;
      this.#apply({ ...member, entered: true, again: true, at, of: undefined });
    }
    if (!complete) return;
    for (const [session, { from, node }] of [...this.#sessions]) {
      if (there.has(session) || isHere(session)) continue;
      this.#apply({ session, from, node, entered: false, again: false, at, of: undefined });
    }
  }

  #apply(change: MemberChange): void {
    const { session, from, entered, of } = change;
    const known = this.#sessions.get(session);
    if (entered) {
      if (known?.from !== from) {
        if (known !== undefined) this.#apply({ ...change, from: known.from, entered: false });
        if (this.#add(change, false) === 1 || this.#each) this.#notify(change);
        return;
      }
      const { again, node } = change;
      this.#sessions.set(session, { node, from, found: known.found && again });
      // It came while the members were read.
      if (known.found && !again && (this.#each || this.#names.get(from) === 1)) this.#notify(change);
      return;
    }
    // A node that was taken for dead has announced, meanwhile, that the session is with it.
    if (known === undefined || (of !== undefined && known.node !== of)) return;
    this.#sessions.delete(session);
    const left = (this.#names.get(known.from) ?? 1) - 1;
    if (left > 0) this.#names.set(known.from, left);
    else this.#names.delete(known.from);
    if (left <= 0 || this.#each) this.#notify({ ...change, from: known.from });
  }

  /** @returns how many sessions the name has now */
  #add({ session, node, from }: RoomMember, found: boolean): number {
    this.#sessions.set(session, { node, from, found });
    const count = (this.#names.get(from) ?? 0) + 1;
    this.#names.set(from, count);
    return count;
  }
}
