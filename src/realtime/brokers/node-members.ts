import type { Member } from "./broker.js";

/** The members of each room on this node, as its presence announces them: names by session. */
export class NodeMembers {
  readonly #rooms = new Map<string, Map<string, string>>();

  get rooms(): readonly string[] {
    return [...this.#rooms.keys()];
  }

  /** The members of one room. */
  of(room: string): ReadonlyMap<string, string> {
    return this.#rooms.get(room) ?? noMembers;
  }

  add(room: string, { session, from }: Member): void {
    let members = this.#rooms.get(room);
    if (members === undefined) {
      members = new Map();
      this.#rooms.set(room, members);
    }
    members.set(session, from);
  }

  delete(room: string, { session }: Member): void {
    const members = this.#rooms.get(room);
    members?.delete(session);
    if (members?.size === 0) this.#rooms.delete(room);
  }

  clear(): void {
    this.#rooms.clear();
  }
}

const noMembers: ReadonlyMap<string, string> = new Map();
