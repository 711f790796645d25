import { Linked } from "../../net/ring.js";
import { Cancellation } from "../../upstream/channel.js";

/** What a backend is being asked for a socket, from beginning to end. */
export class Task extends Linked {
  readonly cancellation = new Cancellation();
}
