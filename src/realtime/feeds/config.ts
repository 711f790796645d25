import { duration, type Loaded, mapping, section, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";

/** `feed` of an entry of `realtime.rooms`. */
export const feedSchema = mapping(
  {
    upstream: text("nonempty", { description: "Name of an upstream with protocol grpc." }),
    method: text("rpcMethod", {
      description:
        "`package.Service/Method`, server streaming. Its request has the room's name in `room_id` and the parts of the name, where it has such fields.",
    }),
    event: text("nonempty", { description: "`event` of the messages.", default: "feed" }),
    from: text("nonempty", { description: "`from` of the messages.", default: "feed" }),
    linger: duration(
      {
        description: "How long the stream stays open after the last member has left.",
        default: "5s",
      },
      0,
    ),
    cursor: Type.Optional(
      text("nonempty", {
        description:
          "The field of messages, a string or an integer, that tells them apart: of two with the same value the second is not published while the first is kept.",
      }),
    ),
    resume_field: Type.Optional(
      text("nonempty", {
        description:
          "The field of the request that gets the `cursor` of the last message that was published. It needs `cursor` and `publish: server`.",
      }),
    ),
  },
  "A stream of a backend whose messages are published in the room. One gateway at a time has it open, while the room has members.",
);

export type FeedConfig = Loaded<typeof feedSchema>;

/** `realtime.feeds` */
export const feedsSection = section(
  {
    streams: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 1024,
      description: "Streams for rooms that this process may have open at once, or wait to open again.",
    }),
  },
  "Streams of backends that feed rooms.",
);
