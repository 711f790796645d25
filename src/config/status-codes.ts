/** `UNAUTHENTICATED`; what is above is the backend's own. */
export const largestGrpcCode = 16;

/** The codes that a key of `status_codes` names: `5002`, or `2000-2999` with both ends. */
export function codeRange(key: string): { readonly first: number; readonly last: number } {
  const [first = "", last = first] = key.split("-");
  return { first: Number(first), last: Number(last) };
}
