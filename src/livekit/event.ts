import type { WebhookEvent } from "livekit-server-sdk";

/** The room that an event is about; empty where it is about none. */
export function roomOf({ room, egressInfo, ingressInfo }: WebhookEvent): string {
  return room?.name || egressInfo?.roomName || ingressInfo?.roomName || "";
}

/**
 * The realtime room that an event is published to.
 * @param template with `{room}`, `{identity}` and `{event}`
 * @returns undefined where the event lacks one that the template names
 */
export function realtimeRoom(template: string, event: WebhookEvent): string | undefined {
  const values: Readonly<Record<string, string>> = {
    "{room}": roomOf(event),
    "{identity}": event.participant?.identity ?? "",
    "{event}": event.event,
  };
  let complete = true;
  const room = template.replace(/\{[a-z]+\}/g, placeholder => {
    const value = values[placeholder] ?? "";
    if (value === "") complete = false;
    return value;
  });
  return complete ? room : undefined;
}

/**
 * What members of a room may know of an event, as JSON text. Never all of it: an event of an ingress holds a stream
 * key, one of an egress addresses of storage, and a participant's metadata may be for the server alone.
 */
export function eventDigest(event: WebhookEvent): string {
  const { participant, track } = event;
  const room = roomOf(event);
  return JSON.stringify({
    event: event.event,
    id: event.id,
    created_at: Number(event.createdAt),
    ...(room === "" ? {} : { room }),
    ...(participant === undefined ? {} : { identity: participant.identity, name: participant.name }),
    ...(track === undefined ? {} : { track: { sid: track.sid, name: track.name, muted: track.muted } }),
  });
}
