import type { SocketTarget } from "./open-sockets.js";

/** A command of a server on sockets, as nodes signal it to each other. */
export type Command =
  | { readonly do: "subscribe"; readonly who: SocketTarget; readonly room: string }
  | {
      readonly do: "unsubscribe";
      readonly who: SocketTarget;
      readonly room: string;
      readonly reason: string | undefined;
      /** They cannot come back until then, milliseconds since 1970. */
      readonly banned: { readonly subject: string; readonly until: number } | undefined;
    }
  | { readonly do: "send"; readonly who: SocketTarget; readonly frame: string }
  | { readonly do: "end"; readonly who: SocketTarget; readonly code: number; readonly reason: string };
