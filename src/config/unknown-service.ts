import { nearest } from "./nearest.js";

const mostNamed = 5;

/** What comes with the descriptors of every configuration; nobody who looks for a service means these. */
const bundled = /^(google|grpc|buf|trpc)\./;

/**
 * What to say of a service that is not there: the nearest, or at most five of those that are.
 * @param declared whether the configuration declares descriptors
 */
export function unknownService(
  name: string,
  services: Iterable<string>,
  declared: boolean,
): { readonly message: string; readonly suggestion?: string } {
  if (!declared) return { message: `there is no service "${name}"; no descriptors are declared` };
  const message = `the descriptors have no service "${name}"`;
  const all = [...services];
  const suggestion = nearest(name, all);
  if (suggestion !== undefined) return { message, suggestion };
  const own = all.filter(each => !bundled.test(each));
  if (own.length === 0) return { message: `${message}; they have none` };
  const left = own.length - mostNamed;
  const more = left > 0 ? ` and ${left} more` : "";
  return { message: `${message}; they have ${own.slice(0, mostNamed).join(", ")}${more}` };
}
