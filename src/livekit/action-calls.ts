import {
  CreateIngressRequest,
  CreateSIPParticipantRequest,
  DeleteIngressRequest,
  EgressInfo,
  IngressInfo,
  ParticipantEgressRequest,
  RoomCompositeEgressRequest,
  SIPParticipantInfo,
  StopEgressRequest,
  TrackCompositeEgressRequest,
  TrackEgressRequest,
} from "@livekit/protocol";
import { nearest } from "../config/nearest.js";
import type { LiveKitActionConfig } from "./config.js";
import type { ServerGrants } from "./server-api.js";

/** The used part of a message of LiveKit's protocol: its fields by their names in the proto. */
export interface MessageClass {
  readonly typeName: string;
  readonly fields: { list(): readonly FieldInfo[] };
}

interface FieldInfo {
  readonly name: string;
  readonly repeated: boolean;
  readonly kind: "scalar" | "enum" | "message" | "map";
  readonly T?: unknown;
}

/** A method of LiveKit's server API that a route may call. */
export interface ActionCall {
  readonly service: "Egress" | "Ingress" | "SIP";
  readonly input: MessageClass;
  readonly output: MessageClass;
  readonly grants: ServerGrants;
  /** The field of the request that gets the room; undefined where the request names an object of a room (`owned`). */
  readonly room?: string;
  /** The field of the request that gets the identity. */
  readonly identity?: string;
  /** The object to end: it is first fetched by its id, since it must be of the room that the caller is admitted to. */
  readonly owned?: { readonly list: string; readonly id: string };
  /** The fields of the response that a caller gets: never addresses or credentials of storage. */
  readonly shown: readonly string[];
}

const egress = {
  service: "Egress",
  output: EgressInfo,
  grants: { video: { roomRecord: true } },
  shown: ["egress_id", "room_name", "status", "started_at", "ended_at", "error"],
} as const;

const ingress = {
  service: "Ingress",
  output: IngressInfo,
  grants: { video: { ingressAdmin: true } },
  shown: ["ingress_id", "name", "url", "stream_key", "room_name", "participant_identity"],
} as const;

export const calls: Readonly<Record<LiveKitActionConfig["call"], ActionCall>> = {
  StartRoomCompositeEgress: { ...egress, input: RoomCompositeEgressRequest, room: "room_name" },
  StartParticipantEgress: {
    ...egress,
    input: ParticipantEgressRequest,
    room: "room_name",
    identity: "identity",
  },
  StartTrackCompositeEgress: { ...egress, input: TrackCompositeEgressRequest, room: "room_name" },
  StartTrackEgress: { ...egress, input: TrackEgressRequest, room: "room_name" },
  StopEgress: { ...egress, input: StopEgressRequest, owned: { list: "ListEgress", id: "egress_id" } },
  CreateIngress: {
    ...ingress,
    input: CreateIngressRequest,
    room: "room_name",
    identity: "participant_identity",
  },
  DeleteIngress: {
    ...ingress,
    input: DeleteIngressRequest,
    owned: { list: "ListIngress", id: "ingress_id" },
    shown: ["ingress_id", "room_name"],
  },
  CreateSIPParticipant: {
    service: "SIP",
    input: CreateSIPParticipantRequest,
    output: SIPParticipantInfo,
    grants: { sip: { call: true } },
    room: "room_name",
    shown: ["participant_id", "participant_identity", "room_name", "sip_call_id"],
  },
};

/** A path in a message: names and indexes from the outside in, and how a text becomes its value. */
export interface ActionField {
  readonly path: readonly (string | number)[];
  /** Undefined where the text is no such value. */
  read(text: string): string | number | boolean | undefined;
  /** The texts that `read` accepts, to follow "expected". */
  readonly expected: string;
}

export type FoundField =
  | { readonly field: ActionField }
  | { readonly why: string; readonly suggestion?: string | undefined };

/** Entries of a list that the configuration may name. */
const maxListIndex = 15;

/** Finds the field that a text such as `file_outputs[0].s3.secret` names. */
export function requestField(message: MessageClass, text: string): FoundField {
  const path: (string | number)[] = [];
  let type = message;
  const steps = text.split(".");
  for (const [index, step] of steps.entries()) {
    const [, name = "", listed] = /^([^[\]]+)(?:\[(\d{1,2})\])?$/.exec(step) ?? [];
    const fields = type.fields.list();
    const field = fields.find(each => each.name === name);
    if (field === undefined) {
      const names = fields.map(each => each.name);
      const near = nearest(name, names);
      const suggestion =
        near === undefined
          ? undefined
          : [...steps.slice(0, index), near, ...steps.slice(index + 1)].join(".");
      return { why: `${type.typeName} has no field "${name || step}"`, suggestion };
    }
    if (field.repeated !== (listed !== undefined)) {
      const expected = field.repeated ? `a list; expected ${name}[0]` : "no list";
      return { why: `"${name}" of ${type.typeName} is ${expected}` };
    }
    path.push(name);
    if (listed !== undefined) {
      if (Number(listed) > maxListIndex) return { why: `expected an index of at most ${maxListIndex}` };
      path.push(Number(listed));
    }
    if (index < steps.length - 1) {
      if (field.kind !== "message") return { why: `"${name}" of ${type.typeName} has no fields` };
      type = field.T as MessageClass;
      continue;
    }
    if (field.kind === "message" || field.kind === "map")
      return { why: `"${name}" of ${type.typeName} is a message; expected one of its fields` };
    return { field: { path, ...reading(field) } };
  }
  return { why: "expected the name of a field" };
}

// Numbers of scalar types, from descriptor.proto.
const BOOL = 8;
const STRING = 9;
const BYTES = 12;

function reading({ kind, T: type }: FieldInfo): Omit<ActionField, "path"> {
  if (kind === "enum") {
    const names = (type as { readonly values: readonly { readonly name: string }[] }).values.map(
      ({ name }) => name,
    );
    const expected = names.length > 8 ? "a name of its enum" : names.join(", ");
    return { read: text => (names.includes(text) ? text : undefined), expected };
  }
  switch (type) {
    case STRING:
    case BYTES:
      return { read: text => text, expected: "text" };
    case BOOL:
      return {
        read: text => (text === "true" ? true : text === "false" ? false : undefined),
        expected: "true or false",
      };
    default:
      return { read: text => (/^-?\d{1,15}$/.test(text) ? Number(text) : undefined), expected: "an integer" };
  }
}
