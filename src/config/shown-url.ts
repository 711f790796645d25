const redacted = "[redacted]";
/** `user:password@`, up to the last `@` before a path: a password may have one as well. */
const userInfo = /([a-z][a-z0-9+.-]*:\/\/)[^/\s]*@/gi;
/** A query or a fragment, where keys and signatures are handed over. */
const tail = /([?#]).*$/s;

/** A text as people may see it: credentials of URLs in it are left out, of each where it lists several. */
export function shownUrl(text: string): string {
  const scheme = text.indexOf("://");
  if (scheme < 0) return text;
  return text.replace(userInfo, `$1${redacted}@`).replace(tail, `$1${redacted}`);
}
