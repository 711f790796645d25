/** Any port may follow: a tunnel or a container's port mapping changes it. */
const hostPattern = /^(\[[^\]]*\]|[^:]*)(?::[0-9]*)?$/;

/**
 * Which `Host` headers a listener answers. A web page can make its own name resolve to a loopback address and so read
 * what only local users should see (DNS rebinding), but it cannot make the browser send another name in `Host`.
 *
 * @param bound host that the listener is bound to, a name or an IP address without brackets
 * @returns true for each header to be answered; always true where `bound` is not loopback
 */
export function hostCheck(bound: string): (header: string | undefined) => boolean {
  if (!isLoopback(bound)) return () => true;
  const allowed = new Set(["localhost", "127.0.0.1", "[::1]", inUrl(bound).toLowerCase()]);
  return header => {
    // Every browser sends one; HTTP/1.0 health checks may not.
    if (header === undefined) return true;
    const name = hostPattern.exec(header)?.[1];
    return name !== undefined && allowed.has(name.toLowerCase());
  };
}

function isLoopback(host: string): boolean {
  return (
    host.toLowerCase() === "localhost" || host === "::1" || /^(?:::ffff:)?127(?:\.[0-9]{1,3}){3}$/i.test(host)
  );
}

function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
