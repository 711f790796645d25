import { Cancellation } from "../../net/cancellation.js";
import { Linked } from "../../net/ring.js";

/** What a backend is being asked for a socket, from beginning to end. */
export class Task extends Linked {
  readonly cancellation = new Cancellation();
}
