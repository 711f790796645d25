import { type PayloadCodec, requestTopic, topic } from "../../workers/topic.js";
import type {
  LeaseResult,
  LostSession,
  MemberChange,
  Message,
  Notice,
  Published,
  Replay,
  RoomDraft,
  RoomMember,
  RoomPosition,
} from "./broker.js";
import type { RoomChange } from "./cluster-presence.js";

/** JSON in the first line and the text, which is long, as it is behind it. */
function headed<K extends string>(key: K): <T extends Readonly<Record<K, string>>>() => PayloadCodec<T> {
  return () => ({
    encode: value => Buffer.from(`${JSON.stringify({ ...value, [key]: undefined })}\n${value[key]}`),
    decode: payload => {
      const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString();
      const line = text.indexOf("\n");
      return { ...JSON.parse(text.slice(0, line)), [key]: text.slice(line + 1) };
    },
  });
}

const withText = headed("text");
const withFrame = headed("frame");

/** From a worker to the primary, which has the log of all rooms and knows the members at each worker. */
export const publishToRoom = requestTopic<{ readonly room: string } & RoomDraft, Published | null>(
  "rooms.publish",
  withFrame(),
);
export const publishUnderLease = requestTopic<
  RoomLease & { readonly drafts: readonly RoomDraft[]; readonly published: number },
  boolean
>("rooms.lease.publish");
export const acquireLease = requestTopic<{ readonly room: string }, LeaseResult>("rooms.lease.acquire");
export const renewLease = requestTopic<RoomLease, boolean>("rooms.lease.renew");
export const releaseLease = requestTopic<RoomLease, null>("rooms.lease.release");
export const subscribeToRoom = requestTopic<{ readonly room: string }, RoomPosition>("rooms.subscribe");
export const unsubscribeFromRoom = topic<{ readonly room: string }>("rooms.unsubscribe");
export const readRoomSince = requestTopic<
  { readonly room: string; readonly position: RoomPosition; readonly limit: number; readonly first?: number },
  Replay
>("rooms.since");
export const readRoomHistory = requestTopic<
  { readonly room: string; readonly limit: number; readonly before?: number },
  readonly Message[]
>("rooms.history");
export const listRooms = requestTopic<{ readonly limit: number }, readonly string[]>("rooms.list");
export const signalOthers = topic<{ readonly text: string }>("rooms.signal");
/** The retained signals from before the worker's start. */
export const retainedSignals = requestTopic<null, readonly string[]>("rooms.retained");
export const writeMembers = requestTopic<
  { readonly node: string; readonly changes: readonly RoomChange[] },
  null
>("rooms.members");
export const readMembers = requestTopic<{ readonly room: string }, readonly RoomMember[]>("rooms.presence");
export const forgetMembers = requestTopic<{ readonly node: string }, null>("rooms.forget");

/** The primary's, to the workers that have members of a room, or to all of them. */
export const roomMessage = topic<{ readonly room: string } & Message>("rooms.message", withText());
export const roomNotice = topic<{ readonly room: string } & Notice>("rooms.notice", withText());
export const leaseVacated = topic<{ readonly room: string }>("rooms.lease.vacated");
export const memberChange = topic<{ readonly room: string; readonly change: MemberChange }>("rooms.member");
export const signalFromOther = topic<{ readonly text: string }>("rooms.signal");
/** To one worker that is left: another has ended, with these sessions. */
export const lostSessions =
  topic<readonly (readonly [session: string, lost: LostSessionText])[]>("rooms.lost");

interface RoomLease {
  readonly room: string;
  readonly token: string;
}

/** A session of a worker that ended, with its rooms as pairs. */
type LostSessionText = Pick<LostSession, "subject"> & {
  readonly rooms: readonly (readonly [room: string, from: string])[];
};
