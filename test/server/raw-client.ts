import { connect } from "node:net";

export interface Conversation {
  /** Everything that came back. */
  readonly text: string;
  /** The server ended the connection before it was told that no more requests come. */
  readonly closed: boolean;
}

/**
 * Writes bytes as they are, in parts, each further part once something has come back for the one before. When there
 * are `replies` final replies it tells that no more comes, unless the server is expected to end the connection.
 */
export function converse(
  port: number,
  parts: readonly string[],
  replies: number,
  closes: boolean,
): Promise<Conversation> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const rest = [...parts];
    let text = "";
    let told = false;
    let closed = false;
    const next = (): void => {
      const part = rest.shift();
      if (part !== undefined) socket.write(part, "latin1");
      if (rest.length > 0 || closes || finalReplies(text) < replies || told) return;
      told = true;
      socket.end();
    };
    const over = (): void => {
      closed ||= !told;
    };
    socket.setEncoding("latin1");
    socket.on("connect", next);
    socket.on("data", chunk => {
      text += chunk;
      next();
    });
    socket.on("end", () => {
      over();
      socket.end();
    });
    // A connection that ends while more is being written to it is reset.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") reject(error);
      over();
    });
    socket.on("close", () => resolve({ text, closed }));
  });
}

/** The status codes in what a server sent, interim ones too. */
export function statusesOf(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(match => match[1] ?? "");
}

function finalReplies(text: string): number {
  return statusesOf(text).filter(status => status !== "100").length;
}
