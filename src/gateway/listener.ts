import { type Address, parseAddress } from "../config/address.js";
import { formatPath, LoadError, type Path } from "../config/diagnostic.js";
import type { ServerTls } from "../net/server-tls.js";
import { AddonError } from "../net/uws-addon.js";
import type { GatewayConfig } from "./config.js";
import type { UsableConfig } from "./read-config.js";
import { listenerTlsOf, type TlsListener, tlsListenersOf } from "./tls.js";

export interface Listener {
  readonly address: Address;
  readonly tls: ServerTls | undefined;
}

/** Where a listener listens, with its certificate read. Loading has tried it. */
export function listenerOf(config: GatewayConfig, name: string): Listener {
  // Loading has checked that all routes have a listener, and the form of its address.
  const listener = tlsListenersOf(config).find(each => each.name === name) as TlsListener;
  return { address: parseAddress(listener.address) as Address, tls: listenerTlsOf(listener) };
}

/**
 * Starts a listener.
 * @param at where the configuration has it
 * @throws LoadError at the listener's address where the system does not let it listen, at its engine where that
 *   cannot be loaded
 */
export async function listening<T>(loaded: UsableConfig, at: Path, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const path = [...at, error instanceof AddonError ? "engine" : "address"];
    const message =
      error instanceof AddonError
        ? error.message
        : reasons.get(codeOf(error as NodeJS.ErrnoException) ?? "")?.(shownAddress(loaded, path));
    if (message === undefined) throw error;
    const position = loaded.locate(path);
    throw new LoadError([{ severity: "error", message, position, path: formatPath(path) }]);
  }
}

/** The address as written, unless it comes from the environment or a file. */
function shownAddress({ config, secrets }: UsableConfig, path: Path): string {
  if (secrets.has(formatPath(path))) return "the address";
  return String(path.reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], config));
}

/** `@grpc/grpc-js` has the system's code in its text only. */
function codeOf({ code, message }: NodeJS.ErrnoException): string | undefined {
  return code ?? /\blisten (E[A-Z]+)\b/.exec(message)?.[1];
}

const reasons: ReadonlyMap<string, (address: string) => string> = new Map([
  ["EADDRINUSE", address => `${address} is in use by another process`],
  ["EACCES", address => `listening on ${address} needs more privileges`],
  ["EADDRNOTAVAIL", address => `${address} does not belong to this machine`],
  ["ENOTFOUND", address => `the host name of ${address} does not resolve`],
]);
